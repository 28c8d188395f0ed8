// SPDX-License-Identifier: Apache-2.0

// Package html writes pages: one file that holds a whole report, and the pages
// of the server.
//
// In: loaded runs of package model, and for the server links and lists that it
// fills in. Out: a page on a writer. A file asks for nothing elsewhere, and its
// own policy lets nothing run but its own script. The script, the style and
// the templates are in assets. It opens no file, answers no request and knows
// no address beyond those that it is given.
//
// Problems of a run are at the top of its page, and in sight. A page of more scenarios
// than model.MaxDrawn has a table in place of charts.
package html
