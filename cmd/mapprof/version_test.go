// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/version"
)

// TestVersion: what --version prints is what a run keeps.
func TestVersion(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"--version"}, strings.NewReader(""), &stdout, &stderr)
	want := version.Get().String()
	if code != exitOK || stdout.String() != "mapprof version "+want+"\n" {
		t.Errorf("exit %d, %q %q", code, &stdout, &stderr)
	}
	if got := trial.ToolInfo().Version; got != want || !strings.HasPrefix(got, "v") {
		t.Errorf("a run keeps %q, --version prints %q", got, want)
	}
}
