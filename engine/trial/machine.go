// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/internal/version"
	"github.com/mapprof/mapprof/results"
)

func ToolInfo() results.Tool {
	return results.Tool{Name: "mapprof", Version: version.Get().String(), Go: runtime.Version()}
}

func HostInfo() results.Host {
	return results.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: Release(), CPUs: onlineCPUs(), MemoryBytes: memTotal()}
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

// onlineCPUs is how many CPUs the kernel runs. runtime.NumCPU counts those that
// this process was allowed when it began.
func onlineCPUs() int {
	if n := countCPUs(readLine("/sys/devices/system/cpu/online")); n > 0 {
		return n
	}
	return runtime.NumCPU()
}

// countCPUs counts a kernel's list of CPUs, like 0-3,8; 0: it is none.
func countCPUs(list string) int {
	n := 0
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err != nil || err2 != nil || b < a {
			return 0
		}
		n += int(b-a) + 1
	}
	return n
}

// memTotal is the machine's memory in bytes, 0 where unknown.
func memTotal() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return info.Totalram * uint64(info.Unit)
}
