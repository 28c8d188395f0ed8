// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package target

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/target/guest"
	"github.com/mapprof/mapprof/target/kernels"
	_ "github.com/mapprof/mapprof/target/kernels/debian" // where kernels come from
	"github.com/mapprof/mapprof/target/machine"
	"github.com/mapprof/mapprof/target/wire"
	"golang.org/x/sys/unix"
)

// These tests boot $MAPPROF_TEST_KERNEL (a series or a path; default 6.12)
// with this test binary as the guest's init, so it must be static:
//
//	CGO_ENABLED=0 go test -tags vm ./target

func init() { guestTestJob = testJob }

const membarrierGlobal = 1 // MEMBARRIER_CMD_GLOBAL of linux/membarrier.h

const testFileBytes = 9<<20 + 12345 // more than two windows

func testFile() []byte {
	b := make([]byte, testFileBytes)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// testJob is what the guest does in each test.
func testJob(args []string) int {
	if args[0] == guest.Command {
		if len(args) == 1 {
			var err error
			if args, err = guest.AwaitJob(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		args = args[1:]
	}
	ch, err := guest.OpenChannel()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	switch args[0] {
	case "results":
		for i := range 3 {
			check(ch.Send("progress", []byte(strconv.Itoa(i))))
		}
		check(ch.SendFile("big.bin", bytes.NewReader(testFile())))
		given, err := os.ReadFile("/given/file")
		check(err)
		check(ch.SendFile("given", bytes.NewReader(given)))
		var mounts []string
		for _, p := range []string{"/proc/self/stat", "/sys/kernel", "/dev/null", "/sys/kernel/tracing/README", "/sys/fs/bpf"} {
			if _, err := os.Stat(p); err != nil {
				mounts = append(mounts, err.Error())
			}
		}
		check(ch.Send("missing", []byte(strings.Join(mounts, "; "))))
		loader, err := os.ReadFile("/sys/kernel/boot_params/version")
		check(err)
		check(ch.Send("loader", bytes.TrimSpace(loader)))
		return 0
	case "done":
		check(ch.SendFile("big.bin", bytes.NewReader(testFile())))
		check(ch.Done()) // and then it doesn't end
	case "when": // and by how many processes and instructions it came to that
		given, err := os.ReadFile("/given/file")
		check(err)
		check(ch.Send("when", fmt.Appendf(given, " %d %d", os.Getpid(), ktime.Now())))
		return 0
	case "date":
		check(ch.Send("date", strconv.AppendInt(nil, time.Now().UnixNano(), 10)))
		return 0
	case "exit":
		fmt.Fprintln(os.Stderr, "this is why")
		return 7
	case "gopanic":
		panic("as planned")
	case "half":
		check(ch.WriteFrame(wire.FrameFileBegin, []byte("half")))
		check(ch.WriteFrame(wire.FrameFileData, []byte("x")))
		return 1
	case "killinit":
		check(syscall.Kill(1, syscall.SIGILL)) // PID 1 of Go handles it by dying
	case "poweroff":
		check(unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
	case "hang":
		check(ch.Send("hanging", nil))
	case "wait": // in the kernel, nearly always
		check(ch.Send("hanging", nil))
		for {
			if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
				check(errno)
			}
		}
	case "stop":
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt)
		check(ch.Send("waiting", nil))
		<-c
		check(ch.SendFile("partial", strings.NewReader("as far as it came")))
		return 0
	case "flood":
		f, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
		check(err)
		line := bytes.Repeat([]byte(strings.Repeat("x", 99)+"\n"), 40)
		for range 300 {
			_, err := f.Write(line)
			check(err)
		}
		return 0
	}
	for {
		time.Sleep(time.Hour)
	}
}

func testVM(t *testing.T) Machine {
	t.Helper()
	name := os.Getenv("MAPPROF_TEST_KERNEL")
	if name == "" {
		name = "6.12"
	}
	k, err := kernels.Resolve(context.Background(), name, kernels.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return Machine{Kernel: k, Timeout: 2 * time.Minute, Accel: os.Getenv("MAPPROF_TEST_ACCEL")}
}

// noQEMU fails the test if this process has a child left.
func noQEMU(t *testing.T) {
	t.Helper()
	out, _ := exec.Command("ps", "-o", "pid,args", "--ppid", strconv.Itoa(os.Getpid())).Output()
	if bytes.Contains(out, []byte(machine.Here().QEMU)) {
		t.Errorf("QEMU is still there:\n%s", out)
	}
}

func TestVMResults(t *testing.T) {
	for _, clock := range []string{ClockWall, ClockICount} {
		t.Run(clock, func(t *testing.T) {
			vm := testVM(t)
			vm.Clock = clock
			vm.ConsoleLog = filepath.Join(t.TempDir(), "console")
			dir := t.TempDir()
			var events []string
			out, err := vm.Run(context.Background(), GuestJob{
				Args:   []string{"results"},
				Files:  map[string][]byte{"/given/file": []byte("given\x00bytes")},
				OutDir: dir,
				Event:  func(k string, p []byte) { events = append(events, k+"="+string(p)) },
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(events, " "); got != "progress=0 progress=1 progress=2 missing= loader=0x020c" { // arch/x86/platform/pvh/enlighten.c; a bzImage has its own
				t.Errorf("events: %s", got)
			}
			big, err := os.ReadFile(filepath.Join(dir, "big.bin"))
			if err != nil || sha256.Sum256(big) != sha256.Sum256(testFile()) {
				t.Errorf("big.bin: %d bytes, %v", len(big), err)
			}
			checkFiles(t, dir, "big.bin", "given")
			if out.ExitCode != 0 || out.Release == "" {
				t.Errorf("outcome %+v", out)
			}
			for _, w := range out.Warnings {
				if !strings.HasPrefix(w, "booted again after boot") { // QEMU's own: TestStalePatch
					t.Errorf("guest warns: %q", w)
				}
			}
			if _, err := os.Stat(vm.ConsoleLog); err != nil {
				t.Error(err)
			}
			noQEMU(t)
		})
	}
}

// A job that is done needn't end.
func TestVMJobDone(t *testing.T) {
	dir := t.TempDir()
	out, err := testVM(t).Run(context.Background(), GuestJob{Args: []string{"done"}, OutDir: dir})
	if err != nil || out.ExitCode != 0 {
		t.Fatalf("exit code %d, %v", out.ExitCode, err)
	}
	big, err := os.ReadFile(filepath.Join(dir, "big.bin"))
	if err != nil || sha256.Sum256(big) != sha256.Sum256(testFile()) {
		t.Errorf("big.bin: %d bytes, %v", len(big), err)
	}
	noQEMU(t)
}

func TestVMJobFails(t *testing.T) {
	for _, tc := range []struct {
		job  string
		code int
		text string
	}{
		{"exit", 7, "this is why"},
		{"gopanic", 2, "as planned"},
		{"half", 1, ""},
	} {
		t.Run(tc.job, func(t *testing.T) {
			dir := t.TempDir()
			out, err := testVM(t).Run(context.Background(), GuestJob{Args: []string{tc.job}, OutDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if out.ExitCode != tc.code || !strings.Contains(out.Message, tc.text) {
				t.Errorf("exit code %d, message %q", out.ExitCode, out.Message)
			}
			checkFiles(t, dir)
			noQEMU(t)
		})
	}
}

// TestVMGuestErrors has what mapprof run can't provoke; for panics, memory and
// what a hostile guest sends see its own tests.
func TestVMGuestErrors(t *testing.T) {
	for _, tc := range []struct {
		job     string
		reason  string
		console string
		change  func(*Machine)
	}{
		{"killinit", GuestPanicked, "Attempted to kill init", nil},
		{"poweroff", GuestPoweredOff, "", nil},
		{"wait", GuestHung, " < __x64_sys_membarrier", func(vm *Machine) { vm.Timeout = 20 * time.Second }},
		{"hang", GuestNoUserSpace, "", func(vm *Machine) { vm.Timeout = 500 * time.Millisecond }},
		{"stuck", GuestNoUserSpace, "", func(vm *Machine) { vm.BootTimeout = 300 * time.Millisecond }},
	} {
		t.Run(tc.job, func(t *testing.T) {
			vm := testVM(t)
			vm.Boot = BootFresh // one from a snapshot may be booted again, see stalepatch.go
			if tc.change != nil {
				tc.change(&vm)
			}
			out, err := vm.Run(context.Background(), GuestJob{Args: []string{tc.job}})
			if again := tc.job == "stuck"; (out.Reboots == 1) != again || again != strings.Contains(strings.Join(out.Warnings, "\n"), "stood still before its user space") {
				t.Errorf("booted again %d times, warnings %q", out.Reboots, out.Warnings)
			}
			var g *GuestError
			if !errors.As(err, &g) {
				t.Fatalf("got %v, want a GuestError", err)
			}
			t.Log(err)
			if g.Reason != tc.reason || !strings.Contains(g.ConsoleTail, tc.console) {
				t.Errorf("reason %q, console:\n%s", g.Reason, g.ConsoleTail)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
			noQEMU(t)
		})
	}
}

func TestVMConsoleFlood(t *testing.T) {
	vm := testVM(t)
	vm.ConsoleLog = filepath.Join(t.TempDir(), "console")
	// The default would take the port minutes to fill.
	defer func(n int) { consoleHalf = n }(consoleHalf)
	consoleHalf = 64 << 10
	if _, err := vm.Run(context.Background(), GuestJob{Args: []string{"flood"}}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(vm.ConsoleLog)
	if err != nil || len(b) > 2*consoleHalf+100 || !bytes.Contains(b, []byte("bytes of console dropped here")) {
		t.Errorf("console log of %d bytes, %v", len(b), err)
	}
}

func TestVMStop(t *testing.T) {
	stop := make(chan struct{})
	dir := t.TempDir()
	out, err := testVM(t).Run(context.Background(), GuestJob{Args: []string{"stop"}, OutDir: dir, Stop: stop,
		Event: func(kind string, _ []byte) {
			if kind == "waiting" {
				close(stop)
			}
		}})
	if err != nil || out.ExitCode != 0 {
		t.Fatalf("exit code %d, %v", out.ExitCode, err)
	}
	checkFiles(t, dir, "partial")
}

func TestVMCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := testVM(t).Run(ctx, GuestJob{Args: []string{"hang"}, Event: func(string, []byte) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	noQEMU(t)
}

// A mapprof that is killed takes its QEMU with it.
func TestVMParentKilled(t *testing.T) {
	if os.Getenv("MAPPROF_TEST_VICTIM") != "" {
		_, _ = testVM(t).Run(context.Background(), GuestJob{Args: []string{"hang"},
			Event: func(string, []byte) { fmt.Println("victim is ready") }})
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestVMParentKilled$", "-test.v")
	cmd.Env = append(os.Environ(), "MAPPROF_TEST_VICTIM=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(seen, []byte("victim is ready")) {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("the victim ended: %v\n%s", err, seen)
		}
		seen = append(seen, buf[:n]...)
	}
	ps, err := exec.Command("ps", "-o", "pid=", "--ppid", strconv.Itoa(cmd.Process.Pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	qemu, err := strconv.Atoi(strings.TrimSpace(string(ps)))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(qemu, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10000); err != nil || n != 1 {
		t.Errorf("QEMU outlived its parent: %d, %v", n, err)
	}
}

// checkFiles checks that dir holds these and nothing half-written.
func checkFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("directory holds %q, want %q", got, want)
	}
}
