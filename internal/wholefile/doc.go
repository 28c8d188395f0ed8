// SPDX-License-Identifier: Apache-2.0

// Package wholefile replaces files: a reader sees the old text or the new one,
// and a write that fails leaves the old one.
package wholefile
