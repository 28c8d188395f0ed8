// SPDX-License-Identifier: Apache-2.0

//go:build unix

package regularfile

import "syscall"

// nonblock keeps open(2) from waiting for a FIFO's other end.
const nonblock = syscall.O_NONBLOCK
