// SPDX-License-Identifier: Apache-2.0

// Package term prints: tables and sketches for a terminal, and the formats that
// other programs take, which are Markdown, CSV, JSON, JUnit XML and workflow
// commands.
//
// In: runs, comparisons and verdicts of packages results and analyze, how far a
// run has come, and the width and colours that a terminal has. Out: text on a
// writer, or a file that CI asked for. It decides nothing: what got worse is
// for analyze to say. It knows package model, and nothing of SVG, pages or the
// server.
//
// Nothing that it prints holds a control sequence of a stranger, or begins a
// line that a CI runner would take for a command.
package term
