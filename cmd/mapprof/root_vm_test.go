// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// systemdRoot is a directory with Debian's systemd in it.
func systemdRoot(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "./.ci/test-root")
	cmd.Dir, cmd.Stderr = filepath.Join(packageDir, "..", ".."), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("make a root: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// written is a new file of that name.
func written(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestVMRecordSystemd records systemd as PID 1 of a Debian root. For a unit with
// RestrictFileSystems= it keeps an inner map, which it deletes when the unit stops: ten
// restarts are nine such deaths. The recording ends when systemd switches the machine
// off, and has what died on the way.
func TestVMRecordSystemd(t *testing.T) {
	t.Parallel()
	filtered := written(t, "filtered.service", `[Unit]
DefaultDependencies=no
StartLimitIntervalSec=0
[Service]
Type=exec
ExecStart=/usr/bin/sleep infinity
RestrictFileSystems=ext4 tmpfs proc sysfs
`)
	restarts := written(t, "restarts.service", `[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/usr/bin/sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do systemctl restart filtered; done; systemctl poweroff -f'
`)
	run, tr := recorded(t, []string{"--kernel", "6.12", "--append", "lsm=landlock,lockdown,yama,bpf", "--root", systemdRoot(t),
		"--file", filtered + ":/etc/systemd/system/filtered.service", "--file", restarts + ":/etc/systemd/system/restarts.service"},
		"/lib/systemd/systemd", "--unit=restarts.service")
	fromOuter := func(o *results.OwnerSum) bool { return o.OuterName == "cgroup_hash" && o.Comm == "systemd" }
	stopped := sumOf(tr.Owners, func(o *results.OwnerSum) bool { return fromOuter(o) && o.Path == results.StrategyRCU })
	if stopped != 9 || run.Partial || tr.Command == nil || tr.Command.Stopped {
		t.Errorf("%d deaths of inner maps that systemd deleted, want 9; partial %v, command %+v: %+v", stopped, run.Partial, tr.Command, tr.Owners)
	}
	// The outer map is systemd's, and ends with it. The inner ones are created by its
	// children, which have the unit's name until they execute its program, in the unit's
	// cgroup, which each restart makes anew.
	if n := sumOf(tr.Owners, func(o *results.OwnerSum) bool { return o.Creator == "systemd" && o.Cgroup == "/init.scope" }); n == 0 {
		t.Errorf("no map of systemd itself died: %+v", tr.Owners)
	}
	if n := sumOf(tr.Owners, func(o *results.OwnerSum) bool {
		return fromOuter(o) && (o.Creator != "(sleep) of systemd-executo" || o.Cgroup != "/system.slice/filtered.service")
	}); n > 0 {
		t.Errorf("%d inner maps of another creator or cgroup: %+v", n, tr.Owners)
	}
}

// TestVMRecordInitCrashes: when the init ends, its kernel panics. What had been recorded
// up to the last interval is left, as a partial run.
func TestVMRecordInitCrashes(t *testing.T) {
	t.Parallel()
	const count = 300
	dir := filepath.Join(t.TempDir(), "run")
	_, stderr := mapprofOK(t, exitFailure, "record", "--offline", "--kernel", "6.12", "--root", systemdRoot(t), "--init", "--interval", "1s",
		"--file", builtAgent(t)+":/agent", "-o", dir, "--", "sh", "-c", fmt.Sprintf("/agent -count %d -pause 2ms; sleep 10; exit 3", count))
	if !strings.Contains(stderr, "Attempted to kill init") {
		t.Errorf("it isn't told what happened:\n%.2000s", stderr)
	}
	run := journalHolds(t, dir, &results.Trial{})
	if n := sumOf(run.Scenarios[0].Trials[0].Owners, func(o *results.OwnerSum) bool { return o.OuterName == "routes" }); n < count {
		t.Errorf("%d deaths of %d", n, count)
	}
}

// TestVMRecordInit: with --init a command is PID 1, its output is shown, the guest has
// the root's files with their attributes, and modules are loaded.
func TestVMRecordInit(t *testing.T) {
	t.Parallel()
	root := systemdRoot(t)
	const list = `find usr/bin etc ! -type d -printf '%p %M %n %U:%G %s %l\n' | LC_ALL=C sort`
	cmd := exec.CommandContext(t.Context(), "sh", "-c", list)
	cmd.Dir = root
	listed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(listed))
	// What can't be is told before a boot. Of a cached kernel that the archive has no
	// longer the modules can't be had.
	noModule := []string{"record", "--kernel", "6.12", "--module", "nothere", "--", "true"}
	if _, _, stderr := mapprof(t, noModule...); strings.Contains(stderr, "mapprof kernels fetch 6.12 gets the newest") {
		mapprofOK(t, exitOK, "kernels", "fetch", "6.12")
	}
	if code, _, stderr := mapprof(t, noModule...); code != exitUsage || !strings.Contains(stderr, "has no such module") || strings.Contains(stderr, "boot") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := mapprof(t, "record", "--offline", "--kernel", "6.12", "--root", root, "--memory", "512MiB", "--", "sh"); code != exitUsage || !strings.Contains(stderr, "--memory 512MiB is too little") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	dir := filepath.Join(t.TempDir(), "run")
	_, stderr := mapprofOK(t, exitOK, "record", "--offline", "--kernel", "6.12", "--root", root, "--module", "veth", "--module", "ip6_tunnel", "--init", "--env", "WHO=init", "-o", dir, "--",
		"sh", "-c", "cd /; ls -d /sys/module/veth; cut -d ' ' -f 1 /proc/modules | sort | tr '\\n' ' '; echo; "+list+" >/list; case $(sha256sum /list) in "+sum+"*) echo $WHO is $$;; *) cat /list;; esac; systemctl poweroff -ff")
	if !strings.Contains(stderr, "init is 1\n") {
		t.Errorf("it isn't PID 1, or the guest has other entries than these (%d bytes) and shows its own:\n%s", len(listed), stderr)
	}
	// With each module comes what it depends on.
	for _, want := range []string{"/sys/module/veth\n", "ip6_tunnel tunnel6 veth"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q in\n%.2000s", want, stderr)
		}
	}
	d, err := results.Open(dir)
	if err != nil || d.Run.Partial || d.Run.Scenarios[0].Trials[0].Command.Stopped {
		t.Fatalf("%v: %+v", err, d)
	}
	if p := d.Run.Scenarios[0].Params; p["root"] != root || p["module"] != "[veth,ip6_tunnel]" || p["init"] != "true" {
		t.Errorf("what the machine was made of is not among the parameters: %v", p)
	}
}
