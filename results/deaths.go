// SPDX-License-Identifier: Apache-2.0

package results

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// DeathsWriter writes what a deaths file holds: lines, compressed. Several of them
// one after the other are a deaths file, too. It takes the same memory whatever the
// number of deaths. One goroutine.
type DeathsWriter struct {
	out summedWriter
	zw  *zstd.Encoder
	bw  *bufio.Writer
	enc *json.Encoder
}

// NewDeathsWriter returns one that writes to w.
func NewDeathsWriter(w io.Writer) (*DeathsWriter, error) {
	d := &DeathsWriter{out: summedWriter{w: w, sum: sha256.New()}}
	zw, err := zstd.NewWriter(&d.out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, err
	}
	d.zw, d.bw = zw, bufio.NewWriterSize(zw, 64<<10)
	d.enc = json.NewEncoder(d.bw)
	return d, nil
}

// Death writes one line. It doesn't keep d.
func (w *DeathsWriter) Death(d *Death) error {
	w.out.info.Count++
	return w.enc.Encode(d)
}

// Close writes the rest. It doesn't close what is below.
func (w *DeathsWriter) Close() error { return errors.Join(w.bw.Flush(), w.zw.Close()) }

// Reset begins again, after Close, with another place to write to: what comes is
// the continuation of what was written before.
func (w *DeathsWriter) Reset(to io.Writer) {
	w.out.w = to
	w.zw.Reset(&w.out)
	w.bw.Reset(w.zw)
}

// File is what run.json says of all that was written, after Close.
func (w *DeathsWriter) File() File { return w.out.file() }
