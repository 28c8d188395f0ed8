// SPDX-License-Identifier: Apache-2.0

// Package session has no code but tests: they draw docs/img/session.svg out of the recording
// of a terminal beside it (make session), and hold both to README.md.
package session
