// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
)

func int8s(s string) (out [16]int8) {
	for i := range min(len(s), 15) {
		out[i] = int8(s[i])
	}
	return out
}

func TestContainerOf(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for cgroup, want := range map[string]string{
		"":                                      "",
		"/":                                     "",
		"/system.slice/ssh.service":             "",
		"/system.slice/docker-" + id + ".scope": "0123456789ab",
		"/docker/" + id:                         "0123456789ab",
		"/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope": "0123456789ab",
		"/kubepods/burstable/pod1/" + id + "/init":                            "0123456789ab",
		"/machine.slice/libpod-" + id + ".scope/container":                    "0123456789ab",
		"/crio-" + id[:63] + "g":                                              "",
		"/user.slice/" + id[:40]:                                              "",
		"cgroup 17":                                                           "",
	} {
		if got := containerOf(cgroup); got != want {
			t.Errorf("%s: %q, want %q", cgroup, got, want)
		}
	}
}

// TestCgroupPaths: a cgroup is found by its inode, after it has gone too, and one that
// was never seen is told by its id.
func TestCgroupPaths(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	inode := info.Sys().(*syscall.Stat_t).Ino
	c := newCgroupPaths(root)
	if err := os.RemoveAll(filepath.Join(root, "a")); err != nil {
		t.Fatal(err)
	}
	c.made(inode+2e6, "/short-lived") // the kernel tells of those that no look finds
	c.made(inode, "/elsewhere")       // what was read stays
	for id, want := range map[uint64]string{inode: "/a/b", 0: "", inode + 1e6: "cgroup", inode + 2e6: "/short-lived"} {
		if got := c.path(id); got != want && !(want == "cgroup" && strings.HasPrefix(got, "cgroup ")) {
			t.Errorf("%d: %q, want %q", id, got, want)
		}
	}
}

// TestExe: what a creator executed is told where its name is not the comm's.
func TestExe(t *testing.T) {
	o := NewOwners(nil, nil)
	for _, tt := range []struct{ comm, exe, want string }{
		{"agent", "agent", ""},
		{"python3", "python3.13", ""},
		{"kube-controller", "kube-controller-manager", ""}, // both are cut
		{"", "agent", ""},
		{"kworker/0:1", "", ""}, // executed nothing
		{"(sleep)", "systemd-executor", "systemd-executo"},
		{"tokio-worker", "agent", "agent"},
	} {
		e := probes.Owner{CreatorComm: int8s(tt.comm), CreatorExe: int8s(tt.exe)}
		if got := o.exe(&e); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

// TestPins: a sleepable program is named for what was put while it was there, and not
// before or after it.
func TestPins(t *testing.T) {
	o := NewOwners(nil, nil)
	load := func(id uint32, name string, at, freed uint64) {
		o.change(&probes.ProgEvent{Id: id, AtNs: at, UsedMaps: 1, Name: int8s(name), Comm: int8s("agent"), Maps: [32]uint32{9}})
		if freed > 0 {
			o.change(&probes.ProgEvent{Id: id, AtNs: freed, Freed: 1, UsedMaps: 1, Maps: [32]uint32{9}})
		}
	}
	load(1, "first", 100, 200)
	load(2, "", 150, 0)
	for _, tt := range []struct {
		putNS uint64
		path  string
		refs  uint32
		want  []string
	}{
		{99, "tasks-trace", 1, nil},
		{120, "tasks-trace", 1, []string{"first of agent"}},
		{180, "tasks-trace+sync", 2, []string{"first of agent", "program 2 of agent"}},
		{201, "tasks-trace", 1, []string{"program 2 of agent"}},
		{180, "rcu", 2, nil},         // nobody kept it
		{180, "tasks-trace", 0, nil}, // a kernel that waits for both always
	} {
		d := results.Death{Path: tt.path, PutNS: int64(tt.putNS)}
		if !o.complete(&d, &probes.Owner{OuterId: 9, OuterSleepable: tt.refs}) || !reflect.DeepEqual(d.Owner.PinnedBy, tt.want) {
			t.Errorf("put at %d, %s: %q, want %q", tt.putNS, tt.path, d.Owner.PinnedBy, tt.want)
		}
	}
}

// TestPinsAreBounded: programs that come and go all the time are forgotten.
func TestPinsAreBounded(t *testing.T) {
	o := NewOwners(nil, nil)
	for i := range uint32(10000) {
		at := uint64(i) * 1e9
		o.change(&probes.ProgEvent{Id: i, AtNs: at, UsedMaps: 2, Maps: [32]uint32{9, 100 + i}})
		o.change(&probes.ProgEvent{Id: i, AtNs: at + 1, Freed: 1, UsedMaps: 2, Maps: [32]uint32{9, 100 + i}})
	}
	if n := len(o.pins[9]); n == 0 || n > 64 {
		t.Errorf("%d programs are kept of one map", n)
	}
}
