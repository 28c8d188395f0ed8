// SPDX-License-Identifier: Apache-2.0

// Show prints its version: the tests build it in every way there is.
package main

import (
	"fmt"

	"github.com/mapprof/mapprof/internal/version"
)

func main() { fmt.Println(version.Get()) }
