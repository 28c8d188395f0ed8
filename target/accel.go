// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/wire"
)

// kvmBootLimit is how long a kernel may take to user space on KVM before the
// verdict is that it does not work. It takes a second where it does.
const kvmBootLimit = 8 * time.Second

// kvmVerdictAge is how long a verdict against KVM on a host is believed.
const kvmVerdictAge = 24 * time.Hour

// kvmVerdict is what a host's KVM was found unable to do. It is kept in the
// cache, for the finding costs seconds; it holds for one boot of the host, one
// build of QEMU, and the kernel that was booted, whose own fault it may be:
// only where QEMU itself gave up it holds for every kernel. That KVM works is
// never kept: every process shows it anew, per kernel.
type kvmVerdict struct {
	BootID  string    `json:"boot_id"`
	QEMU    string    `json:"qemu"`             // version, size and time of the binary
	Kernel  string    `json:"kernel,omitempty"` // SHA-256 of the image; empty: any
	Refusal string    `json:"refusal"`
	Found   time.Time `json:"found"`
}

// maxKVMVerdicts bounds how many are kept.
const maxKVMVerdicts = 64

var kvmWorks struct {
	sync.Mutex
	kernels map[string]bool // path → booted on KVM
}

// kvmRefusal tells why KVM can't be used, or returns "" when it can. A
// /dev/kvm that opens proves nothing: there are hosts where QEMU aborts on it,
// and others where it stops in the middle of the kernel's unpacking. So the
// kernel itself is booted, once.
func kvmRefusal(ctx context.Context, vm Machine, qemu string) (string, error) {
	f, err := os.OpenFile(kvmDevice, os.O_RDWR, 0)
	if err != nil {
		return err.Error(), nil
	}
	if err := f.Close(); err != nil {
		return err.Error(), nil
	}
	kvmWorks.Lock()
	defer kvmWorks.Unlock()
	if kvmWorks.kernels[vm.Kernel.Path] {
		return "", nil
	}
	now := kvmVerdict{BootID: hostBootID(), QEMU: fileIdentity(qemu), Kernel: cmp.Or(vm.Kernel.SHA256, fileIdentity(vm.Kernel.Path)), Found: time.Now()}
	for _, v := range readKVMVerdicts() {
		if v.holds(now) {
			return v.Refusal, nil
		}
	}
	vm.Accel, vm.Clock, vm.Append, vm.ConsoleLog = "kvm", ClockWall, nil, ""
	vm.CPUs, vm.MemoryBytes = 1, min(vm.MemoryBytes, 512<<20)
	vm.Timeout, vm.BootTimeout = kvmBootLimit+5*time.Second, kvmBootLimit
	_, err = vm.Run(ctx, GuestJob{})
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err == nil {
		if kvmWorks.kernels == nil {
			kvmWorks.kernels = map[string]bool{}
		}
		kvmWorks.kernels[vm.Kernel.Path] = true
		return "", nil
	}
	var g *GuestError
	if !errors.As(err, &g) {
		return err.Error(), nil
	}
	now.Refusal = "a kernel was booted on it: " + g.short()
	if g.Reason == GuestQEMUFailed {
		now.Kernel = ""
	}
	keepKVMVerdict(now)
	return now.Refusal, nil
}

// holds tells whether v still speaks for the host, QEMU and kernel of now.
func (v kvmVerdict) holds(now kvmVerdict) bool {
	age := now.Found.Sub(v.Found)
	return v.Refusal != "" && (v.Kernel == "" || v.Kernel == now.Kernel) && v.BootID != "" && v.BootID == now.BootID && v.QEMU == now.QEMU &&
		age >= 0 && age < kvmVerdictAge
}

func kvmVerdictPath() (string, error) {
	c, err := kernels.OpenCache(kernels.Options{})
	if err != nil {
		return "", err
	}
	return filepath.Join(c.Dir, "kvm.json"), nil
}

func readKVMVerdicts() []kvmVerdict {
	p, err := kvmVerdictPath()
	if err != nil {
		return nil
	}
	b, err := os.ReadFile(p)
	var kept []kvmVerdict
	if err != nil || json.Unmarshal(b, &kept) != nil {
		return nil
	}
	for i := range kept {
		kept[i].Refusal = wire.Printable(kept[i].Refusal, 400)
	}
	return kept
}

// keepKVMVerdict is an economy: where it can't be kept, or another process
// keeps one at the same time, it is found again.
func keepKVMVerdict(v kvmVerdict) {
	p, err := kvmVerdictPath()
	if err != nil {
		return
	}
	all := append(readKVMVerdicts(), v)
	b, err := json.Marshal(all[max(0, len(all)-maxKVMVerdicts):])
	if err != nil || os.MkdirAll(filepath.Dir(p), 0o755) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(p), ".kvm-*.tmp")
	if err != nil {
		return
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), p)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
}

func hostBootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(bytes.TrimSpace(b))
}

// fileIdentity changes when the file does.
func fileIdentity(path string) string {
	st, err := os.Stat(path)
	if err != nil {
		return path
	}
	return fmt.Sprintf("%s %d %d", path, st.Size(), st.ModTime().UnixNano())
}

// foreign tells whether an architecture is not this machine's; "" is.
func foreign(arch string) bool { return cmp.Or(arch, runtime.GOARCH) != runtime.GOARCH }

// chooseAccel settles the accelerator and says why it is not KVM.
func chooseAccel(ctx context.Context, vm Machine, qemu string) (accel, reason string, err error) {
	switch {
	case vm.Accel == "tcg" || vm.Accel == "kvm":
		return vm.Accel, "", nil
	case vm.Clock == ClockICount:
		return "tcg", "the instruction clock exists only in emulation", nil
	case foreign(vm.Kernel.Arch):
		return "tcg", fmt.Sprintf("KVM has kernels of this machine's architecture alone, %s", runtime.GOARCH), nil
	}
	why, err := kvmRefusal(ctx, vm, qemu)
	if err != nil {
		return "", "", err
	}
	if why != "" {
		return "tcg", "KVM is not usable: " + why, nil
	}
	return "kvm", "", nil
}
