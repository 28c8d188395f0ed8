// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/internal/version"
	"github.com/mapprof/mapprof/results"
)

func ToolInfo() results.Tool {
	return results.Tool{Name: "mapprof", Version: version.Get().String(), Go: runtime.Version()}
}

func HostInfo() results.Host {
	return results.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: Release(), CPUs: runtime.NumCPU(), MemoryBytes: memTotal()}
}

func Release() string {
	return unameString(func(u *unix.Utsname) []byte { return u.Release[:] })
}

func unameString(field func(*unix.Utsname) []byte) string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(field(&u))
}

// memTotal is the machine's memory in bytes, 0 where unknown.
func memTotal() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return info.Totalram * uint64(info.Unit)
}
