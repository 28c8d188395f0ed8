// SPDX-License-Identifier: Apache-2.0

//go:build linux

package guest

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestUnpack(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "a/b/program", Mode: 0o755, Size: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("run")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := unpack(root, b.Bytes()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "a/b/program")
	got, err := os.ReadFile(path)
	st, serr := os.Stat(path)
	if err != nil || serr != nil || string(got) != "run" || st.Mode().Perm()&0o111 == 0 {
		t.Errorf("%q, %v, %v, %v", got, st.Mode(), err, serr)
	}
	if err := unpack(root, b.Bytes()[:514]); err == nil {
		t.Error("half a parcel is a job")
	}
}
