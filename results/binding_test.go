// SPDX-License-Identifier: Apache-2.0

package results

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// boundRun writes a run of n deaths of one trial, of which everything is counted.
func boundRun(t *testing.T, dir string, n int) {
	t.Helper()
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	h := NewHistogram()
	for i := range n {
		d := Death{Scenario: "a", Path: "immediate", MapID: uint32(i), PutNS: 10, FreeNS: 20, FreedNS: 30 + int64(i)}
		if err := errors.Join(w.Death(&d), h.RecordValue(20+int64(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Histogram(Tag("a", 0, PhaseLimbo), h, time.Unix(1, 0), time.Unix(2, 0)), w.Profile(profileOf(t, n))); err != nil {
		t.Fatal(err)
	}
	run := sampleRun()
	run.Scenarios[0].ID = "a"
	limbo := map[string]Stats{PhaseLimbo: {N: uint64(n)}}
	run.Scenarios[0].Phases, run.Scenarios[0].Trials[0].Phases = limbo, limbo
	if err := w.Finish(run); err != nil {
		t.Fatal(err)
	}
}

// profileOf is a profile of n deaths in two samples: a packed value, and values that
// aren't.
func profileOf(t *testing.T, n int) []byte {
	t.Helper()
	message := "\x0a\x04\x08\x01\x10\x02" + "\x0a\x04\x08\x03\x10\x02" + // types: space, deaths
		"\x12\x04\x12\x02\x05" + string(rune(n-1)) + "\x12\x04\x10\x07\x10\x01" +
		"\x32\x00" + "\x32\x05space" + "\x32\x05count" + "\x32\x06deaths"
	var gz bytes.Buffer
	zw := gzip.NewWriter(&gz)
	if _, err := zw.Write([]byte(message)); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return gz.Bytes()
}

// asVersion1 makes of a run what an early mapprof wrote.
func asVersion1(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, RunFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var run map[string]any
	if err := json.Unmarshal(data, &run); err != nil {
		t.Fatal(err)
	}
	run["schema_version"] = 1
	delete(run, "files")
	if data, err = json.Marshal(run); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func zstdLines(t *testing.T, lines ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	zw, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		_, err = zw.Write([]byte(l + "\n"))
	}
	if err := errors.Join(err, zw.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestFilesAreBound puts into a run what isn't of it, or takes away what is.
func TestFilesAreBound(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other")
	boundRun(t, other, 9)
	of := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(other, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	death := `{"s":"a","t":0,"path":"immediate"}`
	for _, c := range []struct {
		name, file string
		content    []byte // nil: the file is removed
		v2, v1     string // what the error says; empty: it isn't seen
	}{
		{"no deaths", DeathsFile, nil, "it is missing, and run.json was written with one of", ""}, // as with --no-deaths
		{"empty deaths", DeathsFile, zstdLines(t), "bytes, and run.json was written with", `0 deaths of "a", trial 0, and run.json counts 8`},
		{"a file of no bytes", DeathsFile, []byte{}, "it has 0 bytes", `0 deaths of "a", trial 0, and run.json counts 8`},
		{"some deaths", DeathsFile, zstdLines(t, death, death, death), "bytes, and run.json was written with", `3 deaths of "a", trial 0, and run.json counts 8`},
		{"another run's deaths", DeathsFile, of(DeathsFile), "run.json was written with", `9 deaths of "a", trial 0, and run.json counts 8`},
		{"deaths of another trial", DeathsFile, zstdLines(t, death, strings.Replace(death, `"t":0`, `"t":1`, 1)), "run.json was written with", `deaths of "a", trial 1, which run.json doesn't have`},
		{"no histograms", HistogramsFile, nil, "it is missing", "it lacks a/t0/limbo, and run.json counts 8 values of it"},
		{"another run's histograms", HistogramsFile, of(HistogramsFile), "run.json was written with", "9 values of a/t0/limbo, and run.json counts 8"},
		{"no profile", ProfileFile, nil, "it is missing", "it is missing, and run.json counts 8 deaths"},
		{"another run's profile", ProfileFile, of(ProfileFile), "its SHA-256 isn't that of", "it has 9 deaths, and run.json counts 8"},
		{"no profile at all", ProfileFile, []byte("text"), "bytes, and run.json was written with", "EOF"},
	} {
		for version, want := range map[int]string{1: c.v1, 2: c.v2} {
			dir := filepath.Join(t.TempDir(), "run")
			boundRun(t, dir, 8)
			if version == 1 {
				asVersion1(t, dir)
			}
			if _, err := Open(dir); err != nil {
				t.Fatalf("a good run of version %d: %v", version, err)
			}
			path := filepath.Join(dir, c.file)
			err := os.Remove(path)
			if c.content != nil {
				err = os.WriteFile(path, c.content, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(dir)
			if want == "" {
				if err != nil {
					t.Errorf("%s, version %d: %v", c.name, version, err)
				}
				continue
			}
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.File != path || !strings.Contains(err.Error(), want) || errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s, version %d: %v, want %q", c.name, version, err, want)
			}
			d, err := Inspect(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range boundFiles() {
				if got := d.Damage(name); (got != nil) != (name == c.file) {
					t.Errorf("%s, version %d: damage of %s: %v", c.name, version, name, got)
				}
			}
			if c.file == DeathsFile && d.Deaths(func(*Death) error { t.Error("a death was read"); return nil }) == nil {
				t.Error("the deaths were read")
			}
		}
	}
}

func TestFilesThatRunJSONDoesNotList(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(sampleRun()); err != nil { // as with --no-deaths
		t.Fatal(err)
	}
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, DeathsFile), zstdLines(t), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "run.json was written without one") {
		t.Errorf("deaths beside a run without: %v", err)
	}
	if _, err := DecodeRun([]byte(`{"schema_version":2,"targets":[{}]}`)); err == nil || !strings.Contains(err.Error(), "no files") {
		t.Errorf("version 2 without files: %v", err)
	}
}
