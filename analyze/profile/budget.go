// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxProfileMemory bounds what a profile may take when it is decoded: 100,000
// samples of thirty frames with their labels.
const maxProfileMemory = 256 << 20

// What the elements of an encoded profile take in memory at most, growth of
// slices included. Two bytes are a whole sample.
const (
	messageMemory = 320 // a sample, location, function, mapping, string
	numberMemory  = 48  // a number inside one, be it the key of a label
)

// checkMemory refuses a profile that would take too much memory, before any of it
// is decoded. A number is a varint, which has one byte without its high bit.
func checkMemory(data []byte) error {
	memory := 0
	for len(data) > 0 {
		key, n := binary.Uvarint(data)
		if n <= 0 {
			return errors.New("malformed protocol buffer")
		}
		data = data[n:]
		field := key >> 3
		var size uint64
		switch key & 7 {
		case 0:
			_, n := binary.Uvarint(data)
			if n <= 0 {
				return errors.New("malformed protocol buffer")
			}
			size = uint64(n)
		case 1:
			size = 8
		case 2:
			v, n := binary.Uvarint(data)
			if n <= 0 {
				return errors.New("malformed protocol buffer")
			}
			data, size = data[n:], v
		case 5:
			size = 4
		default:
			return errors.New("malformed protocol buffer")
		}
		if size > uint64(len(data)) {
			return errors.New("malformed protocol buffer")
		}
		memory += messageMemory
		if key&7 == 2 && field != stringTable {
			for _, b := range data[:size] {
				if b < 0x80 {
					memory += numberMemory
				}
			}
		}
		if memory > maxProfileMemory {
			return fmt.Errorf("too many samples: it would take more than %d MiB", maxProfileMemory>>20)
		}
		data = data[size:]
	}
	return nil
}

// stringTable is the number of the only field of Profile whose bytes are text.
const stringTable = 6
