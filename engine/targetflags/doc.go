// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package targetflags has the flags that say where something runs: run, doctor
// and the gate's self-test share them.
//
// In: a command line. Out: a target of engine's, or what is wrong with the flags
// before anything is fetched or boots. What a machine can be is checked by
// target.Machine, and not here. It prints nothing.
package targetflags
