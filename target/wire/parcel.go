// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A parcel is what the host leaves in the window for a guest that waits for its job:
// length and CRC-32C, 4 bytes each, and the bytes. A length of 0 is none.
const parcelHeader = 8

// MaxParcel is the longest parcel, in bytes.
const MaxParcel = WindowBytes - parcelHeader

// WriteParcel leaves a parcel in a window. Its length is written last, for the guest
// may look already.
func WriteParcel(window io.WriterAt, parcel []byte) error {
	if len(parcel) == 0 || len(parcel) > MaxParcel {
		return fmt.Errorf("leave a parcel for the guest: %d bytes (1 to %d)", len(parcel), MaxParcel)
	}
	sum := binary.LittleEndian.AppendUint32(nil, crc32.Checksum(parcel, Castagnoli))
	length := binary.LittleEndian.AppendUint32(nil, uint32(len(parcel)))
	_, err := window.WriteAt(parcel, parcelHeader)
	for _, word := range []struct {
		b  []byte
		at int64
	}{{sum, 4}, {length, 0}} {
		if err == nil {
			_, err = window.WriteAt(word.b, word.at)
		}
	}
	if err != nil {
		return fmt.Errorf("leave a parcel for the guest: %w", err)
	}
	return nil
}

// ReadParcel returns a copy of the parcel in a window.
func ReadParcel(window []byte) ([]byte, error) {
	if len(window) < parcelHeader {
		return nil, errors.New("read the host's parcel: no window")
	}
	n := binary.LittleEndian.Uint32(window)
	if n == 0 || uint64(n) > uint64(len(window)-parcelHeader) {
		return nil, fmt.Errorf("read the host's parcel: %d bytes (1 to %d)", n, len(window)-parcelHeader)
	}
	parcel := append([]byte(nil), window[parcelHeader:parcelHeader+int(n)]...)
	if crc32.Checksum(parcel, Castagnoli) != binary.LittleEndian.Uint32(window[4:]) {
		return nil, errors.New("read the host's parcel: its checksum is wrong")
	}
	return parcel, nil
}
