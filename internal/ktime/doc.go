// SPDX-License-Identifier: Apache-2.0

// Package ktime reads the clock of this kernel that BPF programs read. It needs Linux,
// any version, and fails on none.
package ktime
