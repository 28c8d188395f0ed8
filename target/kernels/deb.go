// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const (
	arMagic     = "!<arch>\n"
	arHeaderLen = 60
	// arMaxMembers: a .deb has three.
	arMaxMembers = 64
	// debMaxUnpacked bounds what is unpacked in search of the image.
	debMaxUnpacked = 2 << 30
	// debMaxWindow bounds the decompressors' memory; xz -9 asks for 64 MiB.
	debMaxWindow = 128 << 20
)

// DebError says why no kernel could be taken out of a Debian package.
type DebError struct {
	Path string
	Err  error
}

func (e *DebError) Error() string {
	return fmt.Sprintf("read package %s: %v", e.Path, e.Err)
}

func (e *DebError) Unwrap() error { return e.Err }

// errNoImage: a sound package without a kernel image in it.
var errNoImage = errors.New("holds no kernel image (boot/vmlinuz-* or lib/modules/*/vmlinuz; is it a linux-image or linux-binary package?)")

// debImageRE matches the two places where packages keep the image. Names
// only choose the member, they never become a path.
var debImageRE = regexp.MustCompile(`^(?:\./)?(?:boot/vmlinuz-[^/]+|(?:usr/)?lib/modules/[^/]+/vmlinuz(?:\.unsigned)?)$`)

// copyDebImage copies the kernel image in the .deb deb to w. Sizes are
// bounded: by maxKernelImageBytes for the image, by debMaxUnpacked for all
// that has to be unpacked to find it.
func copyDebImage(ctx context.Context, w io.Writer, deb io.Reader) error {
	return copyDebImageLimit(ctx, w, deb, debMaxUnpacked)
}

func copyDebImageLimit(ctx context.Context, w io.Writer, deb io.Reader, limit int64) error {
	found := false
	err := eachDebFile(ctx, deb, limit, func(h *tar.Header, r io.Reader) (bool, error) {
		if !debImageRE.MatchString(h.Name) {
			return true, nil
		}
		if h.Size > maxKernelImageBytes {
			return false, fmt.Errorf("kernel image of %d MiB is too big", h.Size>>20)
		}
		found = true
		_, err := io.Copy(w, r)
		return false, err
	})
	if err == nil && !found {
		return errNoImage
	}
	return err
}

// eachDebFile calls f with the regular files of the .deb deb until it says not to go on.
// No more than limit bytes are unpacked.
func eachDebFile(ctx context.Context, deb io.Reader, limit int64, f func(h *tar.Header, r io.Reader) (more bool, err error)) error {
	name, data, err := findDebData(bufio.NewReaderSize(ctxReader{ctx, deb}, 1<<16))
	if err != nil {
		return err
	}
	unpacked, done, err := decompress(strings.TrimPrefix(name, "data.tar"), data)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer done()
	bounded := &boundedReader{r: ctxReader{ctx, unpacked}, left: limit}
	tr := tar.NewReader(bounded)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if more, err := f(h, tr); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		} else if !more {
			return nil
		}
	}
}

// findDebData goes through the ar members of a .deb to data.tar*.
func findDebData(r io.Reader) (name string, data io.Reader, err error) {
	var magic [len(arMagic)]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil && !isEOF(err) {
		return "", nil, err
	}
	if string(magic[:]) != arMagic {
		return "", nil, errors.New("not a Debian package (no ar header)")
	}
	for range arMaxMembers {
		var h [arHeaderLen]byte
		if _, err := io.ReadFull(r, h[:]); errors.Is(err, io.EOF) {
			return "", nil, errors.New("not a Debian package (no data.tar in it)")
		} else if err != nil {
			return "", nil, fmt.Errorf("ar header: %w", err)
		}
		if string(h[58:60]) != "`\n" {
			return "", nil, errors.New("ar header is corrupt")
		}
		size, err := strconv.ParseInt(strings.TrimRight(string(h[48:58]), " "), 10, 64)
		if err != nil || size < 0 {
			return "", nil, errors.New("ar header has no size")
		}
		name := strings.TrimSuffix(strings.TrimRight(string(h[:16]), " "), "/")
		if strings.HasPrefix(name, "data.tar") {
			return name, &exactReader{r: r, left: size}, nil
		}
		// Members start at even offsets.
		if _, err := io.CopyN(io.Discard, r, size+(size&1)); isEOF(err) {
			return "", nil, errors.New("ar member is cut short")
		} else if err != nil {
			return "", nil, err
		}
	}
	return "", nil, errors.New("not a Debian package (too many members)")
}

func isEOF(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// decompress returns what r holds, by the end of its name; done frees it.
func decompress(suffix string, r io.Reader) (out io.Reader, done func(), err error) {
	done = func() {}
	switch suffix {
	case "":
		return r, done, nil
	case ".gz":
		out, err = gzip.NewReader(r)
	case ".xz":
		out, err = newXZReader(r)
	case ".zst":
		var d *zstd.Decoder
		d, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(debMaxWindow))
		if err == nil {
			out, done = d, d.Close
		}
	default:
		err = errors.New("unknown compression (xz, zst and gz are known)")
	}
	return out, done, err
}

// exactReader reads left bytes and takes an earlier end for the error it is.
type exactReader struct {
	r    io.Reader
	left int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if errors.Is(err, io.EOF) && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// boundedReader fails, rather than ends, after left bytes.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("unpacks to too much data")
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
