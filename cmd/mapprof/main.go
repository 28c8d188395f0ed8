// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
)

func main() {
	// In a VM this same binary is PID 1, and doesn't return from here.
	guestInit()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
