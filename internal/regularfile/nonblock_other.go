// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package regularfile

const nonblock = 0
