// SPDX-License-Identifier: Apache-2.0

// Package regularfile opens files for reading that somebody else may have put
// there: only regular ones. A FIFO would block for ever, a device may do
// anything.
package regularfile
