// SPDX-License-Identifier: Apache-2.0

package profilecount

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxProfileBytes bounds an uncompressed profile, as its readers do.
const maxProfileBytes = 64 << 20

// deathsType is the sample type of a profile that counts deaths.
const deathsType = "deaths"

// The fields of a pprof profile that are looked at here. Packages above read the
// whole.
const (
	profileSampleType  = 1
	profileSample      = 2
	profileStringTable = 6
	valueTypeType      = 1
	sampleValue        = 2
)

var errProfile = errors.New("no pprof profile")

// Deaths is how many deaths a gzipped profile counts; false: it counts none, for it is
// of something else.
func Deaths(r io.Reader) (n int64, ok bool, err error) {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return 0, false, err
	}
	data, err := io.ReadAll(io.LimitReader(zr, maxProfileBytes+1))
	if err != nil {
		return 0, false, err
	}
	if len(data) > maxProfileBytes {
		return 0, false, fmt.Errorf("larger than %d MiB", maxProfileBytes>>20)
	}
	var types []uint64 // indexes of strings
	column, texts := -1, 0
	// Strings stand after the samples, so the columns are found first.
	err = eachField(data, func(number, _ uint64, bytes []byte) error {
		switch number {
		case profileSampleType:
			types = append(types, 0)
			return eachField(bytes, func(number, value uint64, _ []byte) error {
				if number == valueTypeType {
					types[len(types)-1] = value
				}
				return nil
			})
		case profileStringTable:
			if string(bytes) == deathsType && column < 0 {
				column = slices.Index(types, uint64(texts))
			}
			texts++
		}
		return nil
	})
	if err != nil || column < 0 {
		return 0, false, err
	}
	err = eachField(data, func(number, _ uint64, sample []byte) error {
		if number != profileSample {
			return nil
		}
		at := 0
		add := func(v uint64) {
			if at == column {
				n += int64(v)
			}
			at++
		}
		return eachField(sample, func(number, value uint64, packed []byte) error {
			if number != sampleValue {
				return nil
			}
			if packed == nil {
				add(value)
			}
			for len(packed) > 0 {
				v, size := binary.Uvarint(packed)
				if size <= 0 {
					return errProfile
				}
				add(v)
				packed = packed[size:]
			}
			return nil
		})
	})
	return n, true, err
}

// eachField calls f for each field of a message: with its value if that is a
// number, else with its bytes, which are not nil.
func eachField(message []byte, f func(number, value uint64, bytes []byte) error) error {
	for len(message) > 0 {
		key, n := binary.Uvarint(message)
		if n <= 0 {
			return errProfile
		}
		message = message[n:]
		var value uint64
		var bytes []byte
		var size int
		switch key & 7 {
		case 0:
			if value, size = binary.Uvarint(message); size <= 0 {
				return errProfile
			}
		case 1:
			size = 8
		case 2:
			length, n := binary.Uvarint(message)
			if n <= 0 || length > uint64(len(message)-n) {
				return errProfile
			}
			message, size = message[n:], int(length)
			bytes = message[:size:size]
		case 5:
			size = 4
		default:
			return errProfile
		}
		if size > len(message) {
			return errProfile
		}
		if err := f(key>>3, value, bytes); err != nil {
			return err
		}
		message = message[size:]
	}
	return nil
}
