// SPDX-License-Identifier: Apache-2.0

//go:build linux

package redirect

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -output-stem redirect redirect redirect.bpf.c -- -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu
