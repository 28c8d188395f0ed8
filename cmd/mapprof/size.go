// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/mapprof/mapprof/internal/flagvalue"

// byteSize is a flag's value in bytes.
type byteSize = flagvalue.Size
