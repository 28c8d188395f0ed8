// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crossbuild

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestGiven: a program that was given is taken for its own architecture. One that is no
// program, or another's, is refused with what it is.
func TestGiven(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	for _, tt := range []struct{ arch, given, want string }{
		{runtime.GOARCH, self, ""},
		{other, self, "(the guest is " + other + ")"},
		{other, text, "it is no program for Linux (no ELF file)"},
		{other, t.TempDir(), "is a directory"},
		{other, filepath.Join(t.TempDir(), "nothere"), "no such file"},
		{"sparc", self, "sparc"},
	} {
		got, err := Program(t.Context(), tt.arch, Options{Given: tt.given, Offline: true})
		if tt.want == "" && (err != nil || got != self) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v: %q, %v", tt, got, err)
		}
	}
}
