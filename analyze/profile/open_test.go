// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/results"
)

// TestOpenFile opens a stranger's file, which names another of this machine.
func TestOpenFile(t *testing.T) {
	m := &pprof.Mapping{ID: 1, Start: 0x1000, Limit: 0x9000, File: "/etc/passwd", HasFunctions: true}
	fn := &pprof.Function{ID: 1, Name: "<b>f\x1b[2J", Filename: "/etc/passwd", StartLine: 1}
	loc := &pprof.Location{ID: 1, Mapping: m, Address: 0x2000, Line: []pprof.Line{{Function: fn, Line: 1}}}
	var gz bytes.Buffer
	if err := Write(&gz, &pprof.Profile{
		SampleType: []*pprof.ValueType{{Type: "limbo", Unit: "nanoseconds"}}, DropFrames: ".*",
		Sample:  []*pprof.Sample{{Location: []*pprof.Location{loc}, Value: []int64{1}}},
		Mapping: []*pprof.Mapping{m}, Function: []*pprof.Function{fn}, Location: []*pprof.Location{loc},
	}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "profile.pb.gz")
	if err := os.WriteFile(path, gz.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if f := p.Function[0]; f.Name != "‹b›f" || f.Filename != "" || p.Mapping[0].File != "[/etc/passwd]" || p.DropFrames != "" {
		t.Errorf("not harmless: %+v %+v %q", f, p.Mapping[0], p.DropFrames)
	}
	if err := os.Truncate(path, 20); err != nil {
		t.Fatal(err)
	}
	var corrupt *results.CorruptError
	if _, err := Open(path); !errors.As(err, &corrupt) || corrupt.File != path {
		t.Errorf("a damaged file: %v", err)
	}
	if _, err := Open(filepath.Join(path, "missing")); err == nil {
		t.Error("no error without a file")
	}
}
