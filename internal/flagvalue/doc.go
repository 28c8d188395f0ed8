// SPDX-License-Identifier: Apache-2.0

// Package flagvalue has types of values for flags: sizes in bytes, and lists of
// names.
//
// In: text, as it is given on a command line. Out: a value that prints as it
// would be given, so that a result can repeat it. It imports nothing of ours,
// and knows no flag by name. A value is not safe for concurrent use.
package flagvalue
