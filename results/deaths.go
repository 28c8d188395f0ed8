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

// deathLines decodes the lines of a deaths file. A run may have millions of them,
// and most of their texts are the same: a line as DeathsWriter writes it takes no
// memory. Any other JSON is left to encoding/json.
type deathLines struct{ texts map[string]string }

// maxTexts bounds the texts that are kept, which a stranger chose.
const maxTexts = 1 << 10

func newDeathLines() *deathLines { return &deathLines{texts: map[string]string{}} }

// decode is json.Unmarshal of one line into an empty d.
func (l *deathLines) decode(line []byte, d *Death) error {
	*d = Death{}
	if (&plainObject{line: line}).into(d, l) {
		return nil
	}
	*d = Death{}
	return json.Unmarshal(line, d)
}

// text returns b as a string.
func (l *deathLines) text(b []byte) string {
	if s, ok := l.texts[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(l.texts) < maxTexts {
		l.texts[s] = s
	}
	return s
}

// plainObject is a JSON object without a space in it: of texts in plain ASCII,
// nothing escaped, and of integers.
type plainObject struct {
	line []byte
	at   int
}

// into fills d; false: it is not such an object, or has what a death has not.
func (o *plainObject) into(d *Death, texts *deathLines) bool {
	if !o.take('{') {
		return false
	}
	for {
		key, ok := o.string()
		if !ok || !o.take(':') || !o.member(key, d, texts) {
			return false
		}
		if o.take('}') {
			return o.at == len(o.line)
		}
		if !o.take(',') {
			return false
		}
	}
}

// member reads the value of one key.
func (o *plainObject) member(key []byte, d *Death, texts *deathLines) bool {
	var (
		text    *string
		small   *int
		whole   *int64
		natural *uint32
	)
	switch string(key) {
	case "s":
		text = &d.Scenario
	case "t":
		small = &d.Trial
	case "path":
		text = &d.Path
	case "map_id":
		natural = &d.MapID
	case "map_type":
		text = &d.MapType
	case "map_name":
		text = &d.MapName
	case "outer":
		text = &d.Outer
	case "key_size":
		natural = &d.KeySize
	case "value_size":
		natural = &d.ValueSize
	case "max_entries":
		natural = &d.MaxEntries
	case "mem_bytes":
		n, ok := o.integer()
		d.MemBytes = uint64(n)
		return ok && n >= 0
	case "put_ns":
		whole = &d.PutNS
	case "enqueue_ns":
		whole = &d.EnqueueNS
	case "tasks_trace_end_ns":
		whole = &d.TasksTraceEndNS
	case "rcu_enqueue_ns":
		whole = &d.RCUEnqueueNS
	case "rcu_end_ns":
		whole = &d.RCUEndNS
	case "free_ns":
		whole = &d.FreeNS
	case "freed_ns":
		whole = &d.FreedNS
	case "free_wait_ns":
		whole = &d.FreeWaitNS
	case "cpu_put":
		small = &d.CPUPut
	case "cpu_free":
		small = &d.CPUFree
	case "comm":
		text = &d.Comm
	case "stack":
		text = &d.Stack
	default:
		return false
	}
	if text != nil {
		b, ok := o.string()
		if ok {
			*text = texts.text(b)
		}
		return ok
	}
	n, ok := o.integer()
	switch {
	case !ok:
		return false
	case whole != nil:
		*whole = n
	case small != nil:
		*small = int(n)
		return int64(*small) == n
	default:
		*natural = uint32(n)
		return int64(*natural) == n
	}
	return true
}

// take takes one byte, if it comes next.
func (o *plainObject) take(c byte) bool {
	if o.at == len(o.line) || o.line[o.at] != c {
		return false
	}
	o.at++
	return true
}

// string takes a text, and returns what is between its quotes.
func (o *plainObject) string() ([]byte, bool) {
	if !o.take('"') {
		return nil, false
	}
	for i := o.at; i < len(o.line); i++ {
		switch c := o.line[i]; {
		case c == '"':
			b := o.line[o.at:i]
			o.at = i + 1
			return b, true
		case c < ' ' || c > '~' || c == '\\':
			return nil, false
		}
	}
	return nil, false
}

// integer takes an integer of at most 18 digits.
func (o *plainObject) integer() (n int64, ok bool) {
	const digits = 18
	negative := o.take('-')
	begin := o.at
	for ; o.at < len(o.line) && o.at-begin <= digits; o.at++ {
		c := o.line[o.at] - '0'
		if c > 9 {
			break
		}
		n = n*10 + int64(c)
	}
	length := o.at - begin
	if negative {
		n = -n
	}
	return n, length == 1 || 1 < length && length <= digits && o.line[begin] != '0'
}
