// SPDX-License-Identifier: Apache-2.0

package results

import (
	"bufio"
	"compress/zlib"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The geometry of a phase's histogram: 1 ns to an hour at three significant
// digits. Longer phases are recorded as the highest value and reported by
// their exact maximum.
const (
	HistogramMinNS  = 1
	HistogramMaxNS  = int64(time.Hour)
	HistogramDigits = 3
)

// geometry is a histogram's range and digits, which say how much memory it
// takes: up to 50 MB for one without any value.
type geometry struct {
	lowest, highest int64
	digits          int64
}

func (g geometry) String() string {
	return fmt.Sprintf("%d to %d at %d digits", g.lowest, g.highest, g.digits)
}

// geometries are those that histograms.hlog may have.
var geometries = []geometry{
	{HistogramMinNS, HistogramMaxNS, HistogramDigits},
	{1, 1<<36 - 1, 2}, // of timed calls, which the kernel counts: package probes
	{HistogramMinNS, 1000 * HistogramMaxNS, HistogramDigits}, // of metrics, in picoseconds
}

// maxHistogramLine bounds a line of histograms.hlog: a histogram with a
// different count in every bucket has less than half of it.
const maxHistogramLine = 1 << 20

// Bounds on tags, which are kept to see that none occurs twice.
const (
	maxTag        = 4 << 10
	maxHistograms = 1 << 16
)

// NewHistogram returns an empty histogram of the phases' geometry.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(HistogramMinNS, HistogramMaxNS, HistogramDigits)
}

// PicosecondsSuffix ends the name of a metric's histogram: a lookup takes a few
// nanoseconds, and a histogram has whole numbers.
const PicosecondsSuffix = "_ps"

// NewPicosecondHistogram returns an empty histogram of a metric in picoseconds: one
// to an hour, at the phases' digits.
func NewPicosecondHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(HistogramMinNS, 1000*HistogramMaxNS, HistogramDigits)
}

// Tag names one histogram in histograms.hlog: scenario, trial and phase, or metric.
func Tag(scenario string, trial int, phase string) string {
	return fmt.Sprintf("%s/t%d/%s", scenario, trial, phase)
}

// ParseTag takes a Tag apart.
func ParseTag(tag string) (scenario string, trial int, phase string, err error) {
	j := strings.LastIndexByte(tag, '/')
	if j > 0 {
		i := strings.LastIndexByte(tag[:j], '/')
		if i > 0 {
			if _, err := fmt.Sscanf(tag[i:j]+"\n", "/t%d\n", &trial); err == nil && trial >= 0 {
				return tag[:i], trial, tag[j+1:], nil
			}
		}
	}
	return "", 0, "", fmt.Errorf("histogram tag %q is not scenario/tN/phase", tag)
}

// HistogramsWriter writes what histograms.hlog holds: tagged histograms, each with
// the interval that its values are of. Those of one tag add up. One goroutine.
type HistogramsWriter struct {
	out   summedWriter
	bw    *bufio.Writer
	lw    *hdrhistogram.HistogramLogWriter
	begun bool
}

// NewHistogramsWriter returns one that writes to w.
func NewHistogramsWriter(w io.Writer) *HistogramsWriter {
	l := &HistogramsWriter{out: summedWriter{w: w, sum: sha256.New()}}
	l.bw = bufio.NewWriter(&l.out)
	l.lw = hdrhistogram.NewHistogramLogWriter(l.bw)
	return l
}

// Flush writes the rest.
func (w *HistogramsWriter) Flush() error { return w.bw.Flush() }

// Reset goes on, after Flush, with another place to write to.
func (w *HistogramsWriter) Reset(to io.Writer) { w.out.w = to }

// File is what run.json says of all that was written, after Flush.
func (w *HistogramsWriter) File() File { return w.out.file() }

// Histogram appends one tagged histogram to histograms.hlog.
func (w *Writer) Histogram(tag string, h *hdrhistogram.Histogram, start, end time.Time) (err error) {
	defer w.name(&err, w.tmp)
	if w.log == nil {
		f, err := os.Create(filepath.Join(w.tmp, HistogramsFile))
		if err != nil {
			return fmt.Errorf("write histograms: %w", err)
		}
		w.log, w.hlog = f, NewHistogramsWriter(f)
	}
	return w.hlog.Histogram(tag, h, start, end)
}

// Histogram appends one. It keeps no reference to h.
func (w *HistogramsWriter) Histogram(tag string, h *hdrhistogram.Histogram, start, end time.Time) error {
	if tag == "" || !printable(tag) || strings.ContainsAny(tag, ", ") {
		return fmt.Errorf("write histogram: tag %q is empty or has a comma, a space or what is not ASCII", tag)
	}
	if g := (geometry{h.LowestTrackableValue(), h.HighestTrackableValue(), h.SignificantFigures()}); !slices.Contains(geometries, g) {
		return fmt.Errorf("write histogram %s: nobody would read its range, %s", tag, g)
	}
	if err := w.begin(start); err != nil {
		return err
	}
	h.SetTag(tag)
	h.SetStartTimeMs(start.UnixMilli())
	h.SetEndTimeMs(end.UnixMilli())
	w.out.info.Count++
	if err := w.lw.OutputIntervalHistogram(h); err != nil {
		return fmt.Errorf("write histogram %s: %w", tag, err)
	}
	return nil
}

func (w *HistogramsWriter) begin(start time.Time) error {
	if w.begun {
		return nil
	}
	w.begun = true
	lw := w.lw
	return errors.Join(lw.OutputComment("[mapprof: nanoseconds, but picoseconds where the tag ends in _ps; tag = scenario/trial/time]"),
		lw.OutputLogFormatVersion(), lw.OutputStartTime(start.UnixMilli()), lw.OutputLegend())
}

// EachHistogram calls f for every histogram of the run, in the order of the
// file; each has a tag of its own that ParseTag takes apart: the intervals of a
// recording are one. It holds those of one trial at a time: a run of many trials has
// gigabytes of them. A run in which nothing was recorded has none.
func (d *Dir) EachHistogram(f func(h *hdrhistogram.Histogram) error) error {
	return d.EachHistogramOf(nil, f)
}

// EachHistogramOf is EachHistogram of the scenarios of which wanted is true; nil: of
// all. The others' histograms are not decoded, which takes most of the time.
func (d *Dir) EachHistogramOf(wanted func(scenario string) bool, f func(h *hdrhistogram.Histogram) error) error {
	if err := d.Damage(HistogramsFile); err != nil {
		return err
	}
	return d.readHistograms(wanted, f)
}

func (d *Dir) readHistograms(wanted func(scenario string) bool, f func(h *hdrhistogram.Histogram) error) error {
	file, err := d.open(HistogramsFile, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read histograms: %w", err)
	}
	defer file.Close()
	var own error // f's, which is no fault of the file
	rows := rowSums{seen: map[string]bool{}, intervals: d.Run != nil && d.Run.IntervalNS > 0, f: func(h *hdrhistogram.Histogram) error {
		own = f(h)
		return own
	}}
	err = decodeHistograms(file, wanted, rows.add)
	if err == nil {
		err = rows.flush()
	}
	if err != nil && own == nil {
		return &CorruptError{File: filepath.Join(d.Path, HistogramsFile), Err: err}
	}
	return err
}

// DecodeHistograms reads the tagged histograms of an HdrHistogram log: what
// Writer.Histogram writes, and nothing else.
func DecodeHistograms(r io.Reader, f func(h *hdrhistogram.Histogram) error) error {
	return decodeHistograms(r, nil, f)
}

func decodeHistograms(r io.Reader, wanted func(scenario string) bool, f func(h *hdrhistogram.Histogram) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 64<<10), maxHistogramLine)
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		if !printable(line) {
			return fmt.Errorf("line %d is not ASCII text", n)
		}
		if line == "" || line[0] == '#' || line[0] == '"' { // a comment, or the names of the columns
			continue
		}
		h, err := decodeLine(line, wanted)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if h == nil {
			continue
		}
		if err := f(h); err != nil {
			return err
		}
	}
	return sc.Err()
}

// decodeLine reads one line: Tag=tag,start,length,maximum,histogram. It returns nil for
// a scenario that isn't wanted.
func decodeLine(line string, wanted func(scenario string) bool) (*hdrhistogram.Histogram, error) {
	fields := strings.Split(line, ",")
	tag, tagged := strings.CutPrefix(fields[0], "Tag=")
	if len(fields) != 5 || !tagged {
		return nil, errors.New("no tagged histogram")
	}
	if len(tag) > maxTag {
		return nil, fmt.Errorf("its tag has %d bytes", len(tag))
	}
	tag = strings.Clone(tag) // not the line, which may be kept with it
	switch scenario, _, _, err := ParseTag(tag); {
	case err != nil:
		return nil, err
	case wanted != nil && !wanted(scenario):
		return nil, nil
	}
	var seconds [3]float64 // start, length, maximum
	for i, number := range fields[1:4] {
		var err error
		if seconds[i], err = strconv.ParseFloat(number, 64); err != nil {
			return nil, fmt.Errorf("histogram %s: %w", tag, err)
		}
	}
	const maxSeconds = 1e11 // far beyond any date
	start, length := seconds[0], seconds[1]
	if !(start >= 0 && start <= maxSeconds && length >= 0 && length <= maxSeconds) {
		return nil, fmt.Errorf("histogram %s: it begins at %g s and is of %g s", tag, start, length)
	}
	h, err := decodeHistogram(fields[4])
	if err != nil {
		return nil, fmt.Errorf("histogram %s: %w", tag, err)
	}
	h.SetTag(tag)
	h.SetStartTimeMs(int64(math.Round(1000 * start)))
	h.SetEndTimeMs(int64(math.Round(1000 * (start + length))))
	return h, nil
}

// decodeHistogram decodes a histogram after a look at its geometry. It makes
// an error of a panic: the library indexes by what it reads.
func decodeHistogram(encoded string) (h *hdrhistogram.Histogram, err error) {
	defer func() {
		if p := recover(); p != nil {
			h, err = nil, fmt.Errorf("decode: %v", p)
		}
	}()
	g, err := geometryOf(encoded)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(geometries, g) {
		return nil, fmt.Errorf("its range is %s, which mapprof doesn't write", g)
	}
	return hdrhistogram.Decode([]byte(encoded))
}

// geometryOf reads the header of a histogram in the compressed V2 encoding:
// cookie and length, then compressed cookie, length, offset, digits, lowest and
// highest value.
func geometryOf(encoded string) (geometry, error) {
	r := base64.NewDecoder(base64.StdEncoding, strings.NewReader(encoded))
	var outer [8]byte
	if _, err := io.ReadFull(r, outer[:]); err != nil {
		return geometry{}, fmt.Errorf("read its header: %w", err)
	}
	z, err := zlib.NewReader(r)
	if err != nil {
		return geometry{}, fmt.Errorf("read its header: %w", err)
	}
	var inner [32]byte
	if _, err := io.ReadFull(z, inner[:]); err != nil {
		return geometry{}, fmt.Errorf("read its header: %w", err)
	}
	return geometry{
		lowest:  int64(binary.BigEndian.Uint64(inner[16:])),
		highest: int64(binary.BigEndian.Uint64(inner[24:])),
		digits:  int64(int32(binary.BigEndian.Uint32(inner[12:]))),
	}, nil
}

// printable tells whether s is printable ASCII.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
