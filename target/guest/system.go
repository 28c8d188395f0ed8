// SPDX-License-Identifier: Apache-2.0

//go:build linux

package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mount mounts what exists in this kernel; a file system that it lacks is a
// warning, for what needs it says so itself.
func (g *initProcess) mount() {
	for _, m := range []struct{ dir, fs, opts string }{
		{"/proc", "proc", ""},
		{"/sys", "sysfs", ""},
		{"/dev", "devtmpfs", ""},
		{"/tmp", "tmpfs", ""},
		{"/sys/kernel/debug", "debugfs", ""},
		{"/sys/kernel/tracing", "tracefs", ""},
		{"/sys/fs/bpf", "bpf", ""},
		{"/sys/fs/cgroup", "cgroup2", ""},
	} {
		_ = os.MkdirAll(m.dir, 0o755)
		if m.dir == "/tmp" && !isEmpty(m.dir) {
			continue // files of the job are there, which a mount would hide
		}
		if err := unix.Mount(m.fs, m.dir, m.fs, 0, m.opts); err != nil && !errors.Is(err, unix.EBUSY) {
			g.warnings = append(g.warnings, fmt.Sprintf("mount %s on %s: %v", m.fs, m.dir, err))
		}
	}
}

// loadModules loads the modules that the host put into ModulesDir, and removes them.
func loadModules() error {
	files, err := filepath.Glob(ModulesDir + "/*.ko") // sorted
	if err != nil {
		return err
	}
	for _, file := range files {
		image, err := os.ReadFile(file)
		if err == nil {
			err = unix.InitModule(image, "")
		}
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load module %s: %w", strings.TrimSuffix(filepath.Base(file), ".ko"), err)
		}
	}
	return os.RemoveAll(ModulesDir)
}

func isEmpty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}

func (g *initProcess) limits() {
	warn := func(what string, err error) {
		if err != nil {
			g.warnings = append(g.warnings, what+": "+err.Error())
		}
	}
	inf := &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	warn("raise RLIMIT_MEMLOCK", unix.Setrlimit(unix.RLIMIT_MEMLOCK, inf))
	files := &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	warn("raise RLIMIT_NOFILE", unix.Setrlimit(unix.RLIMIT_NOFILE, files))
	warn("bring up loopback", loopbackUp())
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}
