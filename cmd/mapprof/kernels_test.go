// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKernelsOffline lists a made-up cache.
func TestKernelsOffline(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("MAPPROF_CACHE", cache)
	for version, meta := range map[string]string{
		"6.1.192-2":  `{"series": "6.1", "version": "6.1.192-2", "suite": "bookworm-security", "release": "6.1.0-56-cloud-amd64", "size_bytes": 14200000}`,
		"6.12.90-1":  `{"series": "6.12", "version": "6.12.90-1", "suite": "trixie", "release": "6.12.90+deb13-cloud-amd64", "size_bytes": 11700000}`,
		"6.12.117-1": `{"series": "6.12", "version": "6.12.117-1", "suite": "trixie", "release": "6.12.117+deb13-cloud-amd64", "size_bytes": 11700000}`,
	} {
		series := version[:strings.LastIndexByte(version, '.')]
		dir := filepath.Join(cache, "kernels", series, version)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "kernel.json"), []byte(meta), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		args []string
		out  string
		err  string
	}{
		{args: []string{"list", "--offline"}, out: `series  release                     version     suite                 size  cached
6.1     6.1.0-56-cloud-amd64        6.1.192-2   bookworm-security  14.2 MB  yes, used for 6.1
6.12    6.12.90+deb13-cloud-amd64   6.12.90-1   trixie             11.7 MB  yes
6.12    6.12.117+deb13-cloud-amd64  6.12.117-1  trixie             11.7 MB  yes, used for 6.12
note: offline: only kernels in the cache are listed
`},
		{args: []string{"list", "--offline", "--format", "json"}, out: `"release": "6.12.117+deb13-cloud-amd64",`},
		{args: []string{"list", "--format", "xml"}, err: `--format "xml" is not one of table, json`},
		{args: []string{"list", "6.12"}, err: `kernels list takes no argument "6.12" (--help lists its flags)`},
		{args: []string{"fetch"}, err: "kernels fetch needs a series or a version (kernels fetch 6.12)"},
		{args: []string{"fetch", "../6.12"}, err: `resolve kernel "../6.12": no such series or release (have: 6.1, 6.12)`},
	} {
		var out, progress bytes.Buffer
		cmd := newKernelsCmd()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(tc.args)
		cmd.SetOut(&out)
		cmd.SetErr(&progress)
		err := cmd.ExecuteContext(t.Context())
		switch {
		case tc.err != "" && (err == nil || err.Error() != tc.err):
			t.Errorf("%v: error %v, want %s", tc.args, err, tc.err)
		case tc.err == "" && err != nil:
			t.Errorf("%v: %v", tc.args, err)
		case !strings.Contains(out.String(), tc.out):
			t.Errorf("%v:\n%s\nwant\n%s", tc.args, out.String(), tc.out)
		}
	}
}
