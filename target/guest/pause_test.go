// SPDX-License-Identifier: Apache-2.0

//go:build linux

package guest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mapprof/mapprof/target/wire"
)

func TestPack(t *testing.T) {
	args, files := []string{"guest", "trial"}, map[string][]byte{"/a/b/program": []byte("run"), "/empty": nil}
	parcel, err := Pack(args, files, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := unpack(root, parcel); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/a/b/program": "run", "/empty": "", ArgvFile: `["guest","trial"]`} {
		path = filepath.Join(root, path)
		got, err := os.ReadFile(path)
		st, serr := os.Stat(path)
		if err != nil || serr != nil || string(got) != want || st.Mode().Perm()&0o111 == 0 {
			t.Errorf("%s: %q, %v, %v", path, got, err, serr)
		}
	}
	if err := unpack(root, parcel[:514]); err == nil {
		t.Error("half a parcel is a job")
	}
	if len(files) != 2 {
		t.Error("the job has a file more than before")
	}
	if again, err := Pack(args, files, time.Time{}); err != nil || !bytes.Equal(parcel, again) {
		t.Errorf("one job, two parcels: the guest would do other instructions (%v)", err)
	}
	if dated, err := Pack(args, files, time.Unix(1, 5)); err != nil || !bytes.Contains(dated, []byte("1000000005")) {
		t.Errorf("the parcel has no date: %v", err)
	}
	files["/large"] = make([]byte, wire.MaxParcel)
	if b, err := Pack(args, files, time.Time{}); b != nil || err != nil {
		t.Errorf("%d bytes of what doesn't fit, %v", len(b), err)
	}
}
