// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package target

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/target/machine"
)

// TestVMConfined: QEMU filters its system calls, and where mapprof is root runs as
// a user who is nobody else and has no group but its own. It still boots, sends
// files and ends.
func TestVMConfined(t *testing.T) {
	for _, clock := range []string{ClockWall, ClockICount} {
		vm := testVM(t)
		vm.Clock, vm.Accel = clock, "tcg"
		// A kernel that only its owner can read, where nobody else gets.
		private := filepath.Join(t.TempDir(), "bzImage")
		image, err := os.ReadFile(vm.Kernel.Path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(private, image, 0o400); err != nil {
			t.Fatal(err)
		}
		vm.Kernel.Path = private
		dir, stop := t.TempDir(), make(chan struct{})
		status := ""
		out, err := vm.Run(context.Background(), GuestJob{Args: []string{"stop"}, OutDir: dir, Stop: stop,
			Event: func(string, []byte) {
				status = qemuStatus(t)
				close(stop)
			}})
		if err != nil || out.ExitCode != 0 || len(out.Warnings) > 0 {
			t.Fatalf("%s: %+v, %v", clock, out, err)
		}
		checkFiles(t, dir, "partial")
		noQEMU(t)
		field := func(name string) string {
			m := regexp.MustCompile(`(?m)^` + name + `:(.*)$`).FindStringSubmatch(status)
			if m == nil {
				t.Fatalf("%s: no %s in %q", clock, name, status)
			}
			return strings.Join(strings.Fields(m[1]), " ")
		}
		user, group, groups := os.Getuid(), os.Getgid(), ""
		if user == 0 {
			user = firstUser + os.Getpid()%users
			group = user
		} else {
			own, err := os.Getgroups()
			if err != nil {
				t.Fatal(err)
			}
			groups = strings.Trim(fmt.Sprint(own), "[]")
		}
		four := func(id int) string { s := strconv.Itoa(id); return s + " " + s + " " + s + " " + s }
		if field("Uid") != four(user) || field("Gid") != four(group) || field("Groups") != groups {
			t.Errorf("%s: QEMU is user %s, group %s, groups %q; not %d, %d, %q", clock, field("Uid"), field("Gid"), field("Groups"), user, group, groups)
		}
		if field("Seccomp") != "2" || field("NoNewPrivs") != "1" {
			t.Errorf("%s: QEMU's seccomp mode is %s, not 2 (a filter); no new privileges: %s", clock, field("Seccomp"), field("NoNewPrivs"))
		}
		if os.Getuid() == 0 && strings.Trim(field("CapEff"), "0") != "" {
			t.Errorf("%s: QEMU has the capabilities %s", clock, field("CapEff"))
		}
	}
}

// TestVMUnconfined: a QEMU that has no filter, where no other user gets at it, boots
// all the same, and both are said.
func TestVMUnconfined(t *testing.T) {
	real, err := findQEMU(machine.Here())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := "#!/bin/sh\ncase \" $* \" in *' -sandbox '*) echo 'qemu: -sandbox is not there' >&2; exit 1;; esac\nexec " + real + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "qemu"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MAPPROF_QEMU", filepath.Join(dir, "qemu"))
	vm := testVM(t)
	vm.Accel = "tcg"
	out, err := vm.Run(context.Background(), GuestJob{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"QEMU's system calls are not filtered: qemu: -sandbox is not there"}
	if os.Geteuid() == 0 {
		want = append(want, "QEMU runs as root: start "+dir)
	}
	if len(out.Warnings) != len(want) {
		t.Fatalf("warnings %q", out.Warnings)
	}
	for i := range want {
		if !strings.HasPrefix(out.Warnings[i], want[i]) {
			t.Errorf("warning %q, not %q", out.Warnings[i], want[i])
		}
	}
}

// qemuStatus is what the kernel says of the one QEMU that is this process's child.
func qemuStatus(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		children, _ := os.ReadFile(file) // a thread may have ended
		for pid := range strings.FieldsSeq(string(children)) {
			text, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
			if err == nil && strings.HasPrefix(string(text), "Name:\tqemu-system") {
				return string(text)
			}
		}
	}
	t.Error("no QEMU runs")
	return ""
}
