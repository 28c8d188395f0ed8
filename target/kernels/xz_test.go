// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// xzOfBlocks is an xz file with a block for each part, as xz -T writes it.
func xzOfBlocks(t *testing.T, c xz.WriterConfig, parts ...[]byte) []byte {
	t.Helper()
	var out, index, flags []byte
	index = binary.AppendUvarint([]byte{0}, uint64(len(parts)))
	for i, part := range parts {
		var one bytes.Buffer
		w, err := c.NewWriter(&one)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		file := one.Bytes()
		footer := file[len(file)-12:]
		size := (int(binary.LittleEndian.Uint32(footer[4:])) + 1) * 4
		record := file[len(file)-12-size:][2:] // after its zero and its number of records
		_, n := binary.Uvarint(record)
		_, m := binary.Uvarint(record[n:])
		index = append(index, record[:n+m]...)
		if i == 0 {
			out, flags = append(out, file[:12]...), footer[8:10]
		}
		out = append(out, file[12:len(file)-12-size]...)
	}
	for len(index)%4 != 0 {
		index = append(index, 0)
	}
	index = binary.LittleEndian.AppendUint32(index, crc32.ChecksumIEEE(index))
	footer := append(binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1)), flags...)
	out = append(append(out, index...), binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(footer))...)
	return append(append(out, footer...), "YZ"...)
}

// TestXZOfManyBlocks: what dpkg-deb packs with several threads is unpacked, whatever
// its checksum, and its chunks be compressed or not.
func TestXZOfManyBlocks(t *testing.T) {
	random := make([]byte, 200_001)
	r := rand.NewChaCha8([32]byte{})
	if _, err := r.Read(random); err != nil {
		t.Fatal(err)
	}
	parts := [][]byte{[]byte(strings.Repeat("text ", 100_000)), random, []byte("a"), append([]byte(strings.Repeat("x", 3<<20)), random...)}
	whole := bytes.Join(parts, nil)
	for _, check := range []byte{xz.CRC32, xz.CRC64, xz.SHA256} {
		file := xzOfBlocks(t, xz.WriterConfig{DictCap: 1 << 16, CheckSum: check}, parts...)
		r, err := newXZReader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, whole) {
			t.Errorf("check %d: %d bytes of %d, %v", check, len(got), len(whole), err)
		}
	}
}
