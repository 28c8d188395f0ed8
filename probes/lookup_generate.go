// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

//go:generate -command lookup go tool bpf2go -cc clang-14 -strip llvm-strip-14 -output-stem lookup
//go:generate lookup -target amd64 lookup lookup.bpf.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu
//go:generate lookup -target arm64 lookup lookup.bpf.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/aarch64-linux-gnu/include
