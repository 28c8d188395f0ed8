// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ulikunitz/xz"
)

// newXZReader unpacks an xz file of one stream, as dpkg-deb writes it.
func newXZReader(r io.Reader) (io.Reader, error) {
	guard := &xzGuard{r: bufio.NewReaderSize(r, 1<<16)}
	guard.next = guard.stream
	return xz.ReaderConfig{SingleStream: true}.NewReader(guard)
}

// xzGuard passes an xz stream on and fails at a block that asks for a dictionary
// over debMaxWindow, or where there are too many blocks: for each, the reader
// allocates and clears the dictionary before it reads a byte. Where a block ends
// stands nowhere, but LZMA2's chunks tell their sizes.
type xzGuard struct {
	r      *bufio.Reader
	pass   int          // bytes that were looked at
	next   func() error // looks at those after them; nil: the index has begun
	check  int          // size of a block's checksum
	size   int          // of the block's chunks so far
	blocks int
}

// xzMaxBlocks is far above what dpkg-deb makes: a block has 24 MB or more.
const xzMaxBlocks = 1 << 10

// Read implements io.Reader.
func (g *xzGuard) Read(p []byte) (int, error) {
	for g.pass == 0 {
		if g.next == nil {
			return g.r.Read(p)
		}
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	n, err := g.r.Read(p[:min(len(p), g.pass)])
	g.pass -= n
	return n, err
}

func (g *xzGuard) peek(n int) ([]byte, error) {
	b, err := g.r.Peek(n)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("xz: %w", io.ErrUnexpectedEOF)
	}
	return b, err
}

// stream is the header of the stream.
func (g *xzGuard) stream() error {
	b, err := g.peek(12)
	if err != nil {
		return err
	}
	if kind := b[7] & 15; kind > 0 {
		g.check = 4 << ((kind - 1) / 3)
	}
	g.pass, g.next = len(b), g.block
	return nil
}

// block is the header of a block, or the index.
func (g *xzGuard) block() error {
	b, err := g.peek(1)
	if err != nil {
		return err
	}
	if b[0] == 0 {
		g.next = nil
		return nil
	}
	if g.blocks++; g.blocks > xzMaxBlocks {
		return fmt.Errorf("xz stream of more than %d blocks", xzMaxBlocks)
	}
	if b, err = g.peek((int(b[0]) + 1) * 4); err != nil {
		return err
	}
	g.pass, g.size, g.next = len(b), 0, g.chunk
	return checkXZBlock(b)
}

// chunk is the header of a chunk with what it holds, or the end of the block.
func (g *xzGuard) chunk() error {
	b, err := g.peek(1)
	if err != nil {
		return err
	}
	be16 := func(b []byte) int { return int(binary.BigEndian.Uint16(b)) }
	switch control := b[0]; {
	case control == 0:
		g.size++
		g.pass, g.next = 1+(-g.size&3)+g.check, g.block
		return nil
	case control <= 2: // not compressed
		if b, err = g.peek(3); err != nil {
			return err
		}
		g.pass = 3 + be16(b[1:]) + 1
	case control < 0x80:
		return errors.New("xz data is corrupt")
	default:
		if b, err = g.peek(5); err != nil {
			return err
		}
		g.pass = 5 + be16(b[3:]) + 1
		if control >= 0xc0 { // properties
			g.pass++
		}
	}
	g.size += g.pass
	return nil
}

// checkXZBlock looks at a block's header.
func checkXZBlock(block []byte) error {
	flags, rest := block[1], block[2:]
	for _, present := range []byte{0x40, 0x80} { // compressed, uncompressed size
		if flags&present != 0 {
			_, n := binary.Uvarint(rest)
			if n <= 0 {
				return errors.New("xz header is corrupt")
			}
			rest = rest[n:]
		}
	}
	const lzma2 = 0x21
	if len(rest) < 3 || flags&3 != 0 || rest[0] != lzma2 || rest[1] != 1 || rest[2] > 40 {
		return errors.New("xz filters other than LZMA2 are not supported")
	}
	// 2 or 3, shifted: 4 KiB, 6 KiB, 8 KiB, 12 KiB, …
	if dict := int64(2|rest[2]&1) << (rest[2]/2 + 11); dict > debMaxWindow {
		return fmt.Errorf("xz dictionary of %d MiB is too big", dict>>20)
	}
	return nil
}
