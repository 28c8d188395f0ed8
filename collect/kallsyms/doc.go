// SPDX-License-Identifier: Apache-2.0

// Package kallsyms names kernel addresses: the kernel's own functions, modules',
// BPF programs' and trampolines'.
//
// In: addresses, and the text of /proc/kallsyms. Out: frames of package results.
// An address that no symbol is below stays unknown. A Table keeps the text symbols
// of one moment; nothing else is kept between calls.
package kallsyms
