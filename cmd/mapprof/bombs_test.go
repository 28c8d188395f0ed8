// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mapprof/mapprof/results"
)

// TestBombs gives small files that want to be large to the program itself: none
// takes it above 1 GB, and what would is refused in a moment.
func TestBombs(t *testing.T) {
	const limit = 1e9
	program := builtMapprof(t)
	// A process counts as large as who started it, so this one stays small.
	repeat := func(head, element, tail string, n int) func(io.Writer) error {
		return func(w io.Writer) error {
			bw := bufio.NewWriter(w)
			bw.WriteString(head)
			for range n - 1 {
				bw.WriteString(element)
			}
			bw.WriteString(strings.TrimSuffix(element, ",") + tail)
			return bw.Flush()
		}
	}
	const head = `{"schema_version":2,"files":{},"targets":[{}],`
	types, stringTable := "\x0a\x04\x08\x01\x10\x02", "\x32\x00\x32\x01a\x32\x05count"
	zstandard := func(content func(io.Writer) error) func(io.Writer) error {
		return func(w io.Writer) error {
			zw, err := zstd.NewWriter(w)
			if err != nil {
				return err
			}
			return errors.Join(content(zw), zw.Close())
		}
	}
	gzipped := func(content func(io.Writer) error) func(io.Writer) error {
		return func(w io.Writer) error {
			zw := gzip.NewWriter(w)
			return errors.Join(content(zw), zw.Close())
		}
	}
	// inflated is a histogram of the phases' range with n bytes of counts.
	inflated := func(n int) func(io.Writer) error {
		return func(w io.Writer) error {
			var packed bytes.Buffer
			packed.Write([]byte{0x1c, 0x84, 0x93, 0x14, 0, 0, 0, 0}) // the cookie and the length
			zw := zlib.NewWriter(&packed)
			head := binary.BigEndian.AppendUint32(nil, 0x1c849313)
			for _, v := range []uint32{uint32(n), 0, results.HistogramDigits} {
				head = binary.BigEndian.AppendUint32(head, v)
			}
			for _, v := range []uint64{results.HistogramMinNS, uint64(results.HistogramMaxNS), math.Float64bits(1)} {
				head = binary.BigEndian.AppendUint64(head, v)
			}
			_, err := zw.Write(head)
			err = errors.Join(err, repeat("", string(make([]byte, 1<<16)), "", n>>16)(zw), zw.Close())
			binary.BigEndian.PutUint32(packed.Bytes()[4:], uint32(packed.Len()-8))
			fmt.Fprintf(w, "Tag=a/t0/limbo,0.0,1.0,1.0,%s\n", base64.StdEncoding.EncodeToString(packed.Bytes()))
			return err
		}
	}
	oldRun := `{"schema_version":1,"targets":[{}],"scenarios":[{"id":"a","trials":[{}]}]}`
	// keys are a map's, each of its own.
	keys := func(head, value, tail string, n int) func(io.Writer) error {
		return func(w io.Writer) error {
			bw := bufio.NewWriter(w)
			bw.WriteString(head)
			for i := range n {
				if i > 0 {
					bw.WriteByte(',')
				}
				fmt.Fprintf(bw, "\"%x\":%s", i, value)
			}
			bw.WriteString(tail)
			return bw.Flush()
		}
	}
	for _, c := range []struct {
		name, file string
		content    func(io.Writer) error
		refused    string // empty: it is small enough to be read
	}{
		{"11 M keys", results.RunFile, keys(head+`"loss":{`, "1", "}}", 11_000_000), "too many elements"},
		{"as many keys as may be", results.RunFile, keys(head+`"loss":{`, "1", "}}", 8_300_000), ""},
		{"as many keys of lists as may be", results.RunFile, keys(head+`"stacks":{`, "[]", "}}", 4_150_000), ""},
		{"8 M scenarios", results.RunFile, repeat(head+`"scenarios":[`, "{},", "]}", 8_000_000), "too many elements"},
		{"as many scenarios as may be", results.RunFile, repeat(head+`"scenarios":[`, "{},", "]}", 400_000), "a scenario has no id"},
		{"8 M trials", results.RunFile, repeat(head+`"scenarios":[{"id":"a","trials":[`, "{},", "]}]}", 8_000_000), "too many elements"},
		{"8 M points", results.RunFile, repeat(head+`"scenarios":[{"id":"a","trials":[{"timeline":[`, "{},", "]}]}]}", 8_000_000), "too many elements"},
		{"as many points as may be", results.RunFile, repeat(head+`"scenarios":[{"id":"a","trials":[{"timeline":[`, "{},", "]}]}]}", 1_100_000), ""},
		{"20 M warnings", results.RunFile, repeat(head+`"warnings":[`, `"",`, "]}", 20_000_000), "too many elements"},
		{"a run.json of 250 MB", results.RunFile, repeat("", strings.Repeat(" ", 1000), "", 250_000), "larger than"},
		{"a warning of 100 MB", results.RunFile, repeat(head+`"warnings":["`, strings.Repeat("x", 1000), `"]}`, 100_000), ""},
		{"30 M samples", results.ProfileFile, gzipped(repeat(types+stringTable, "\x12\x00", "", 30_000_000)), "too many samples"},
		{"50 M locations of a sample", results.ProfileFile, gzipped(repeat(types+stringTable+"\x12\x80\xe1\xeb\x17", "\x01", "", 50_000_000)), "too many samples"},
		{"a profile of 200 MB", results.ProfileFile, gzipped(repeat("", strings.Repeat("\x00", 1000), "", 200_000)), "larger than"},
		{"a histogram of 650 MB", results.HistogramsFile, inflated(650 << 20), "exceeds the maximum"},
		{"a death of 100 MB", results.DeathsFile, zstandard(repeat("", strings.Repeat("x", 1<<20), "", 100)), "token too long"},
		{"3 M deaths", results.DeathsFile, zstandard(repeat("", "{}\n", "", 3_000_000)), "it has deaths of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "run")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, results.RunFile), []byte(oldRun), 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := os.Create(filepath.Join(dir, c.file))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.content(f), f.Close()); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), program, "report", dir)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			peak, err := runForPeak(t, cmd)
			t.Logf("%d MB, %v", peak/1e6, cmd.ProcessState.UserTime())
			if peak > limit {
				t.Errorf("takes %d MB", peak/1e6)
			}
			if (err != nil) != (c.refused != "") || !strings.Contains(stderr.String(), c.refused) {
				t.Errorf("%v, want %q: %s", err, c.refused, &stderr)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		})
	}
}
