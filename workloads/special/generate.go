// SPDX-License-Identifier: Apache-2.0

//go:build linux

package special

//go:generate go tool bpf2go -no-global-types -cc clang-14 -strip llvm-strip-14 -target bpfel -output-stem special special special.bpf.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu
