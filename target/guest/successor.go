// SPDX-License-Identifier: Apache-2.0

//go:build linux

package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A program that is an init wants to be PID 1. So PID 1, which mapprof is first, starts
// a child, the keeper, that does what PID 1 would do, and waits. The job, a child of the
// keeper, sends PID 1 the program by a socket when it watches, and PID 1 executes it.
//
// The machine must not go off before the job's results have left. Before it executes
// the program, PID 1 installs a seccomp filter that every process of the program
// inherits: reboot(2) waits for the job's answer. The job hands the filter's descriptor
// to the keeper, too: were it closed with the job, reboot(2) would fail before the keeper
// has reported the end, and an init that ends then makes the kernel panic.

const (
	// survivorName is argv[0] of the keeper and of the job: systemd leaves a process
	// alone whose argv[0] begins with '@' (systemd.io/ROOT_STORAGE_DAEMONS).
	survivorName = "@mapprof"

	keeperFD    = "MAPPROF_GUEST_KEEPER"    // tells the keeper which descriptor is the socket
	successorFD = "MAPPROF_GUEST_SUCCESSOR" // tells the job
)

// successor is the program that is to be PID 1.
type successor struct {
	File string
	Args []string
	Env  []string
}

// maxSuccessor bounds what is sent of it.
const maxSuccessor = 128 << 10

// keeperSocket tells whether this process is the keeper, and which descriptor it passes
// on to its job; -1: none.
func keeperSocket() (fd int, keeper bool) {
	value := os.Getenv(keeperFD)
	if value == "" {
		return -1, false
	}
	fd, err := strconv.Atoi(value)
	if err != nil {
		return -1, true
	}
	unix.CloseOnExec(fd)
	return fd, true
}

// awaitSuccessor is the life of PID 1 until it executes another program. It returns only
// if there is none.
func awaitSuccessor() error {
	runtime.LockOSThread() // the filter is this thread's, which executes
	sp, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ours := sp[0]
	_ = unix.SetsockoptInt(sp[1], unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 2*maxSuccessor)
	_, err = syscall.ForkExec(os.Args[0], []string{survivorName}, &syscall.ProcAttr{
		Env:   []string{keeperFD + "=3"},
		Files: []uintptr{0, 1, 2, uintptr(sp[1])},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	unix.Close(sp[1])
	if err != nil {
		return fmt.Errorf("start %s: %w", os.Args[0], err)
	}
	if p, output, err := receiveSuccessor(ours); err == nil {
		err = p.execute(ours, output)
		_ = unix.Sendmsg(ours, []byte(err.Error()), nil, nil, unix.MSG_NOSIGNAL)
	}
	unix.Close(ours)
	for { // the keeper ends the machine
		if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return errors.New("no process is left")
		}
	}
}

// receiveSuccessor waits for the program and the descriptor that takes its output.
func receiveSuccessor(fd int) (p successor, output int, err error) {
	data, output, err := receive(fd)
	if err != nil {
		return p, -1, err
	}
	if len(data) == 0 || output < 0 {
		return p, -1, io.ErrUnexpectedEOF // the job ended without one
	}
	return p, output, json.Unmarshal(data, &p)
}

// receive reads a message, and a descriptor that comes with it; -1: none does.
func receive(socket int) (data []byte, fd int, err error) {
	data, rights := make([]byte, maxSuccessor), make([]byte, unix.CmsgSpace(4))
	var n, nr int
	for {
		n, nr, _, _, err = unix.Recvmsg(socket, data, rights, unix.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil || nr == 0 {
		return data[:max(0, n)], -1, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:nr])
	if err != nil || len(messages) != 1 {
		return nil, -1, errors.Join(err, errors.New("one descriptor was expected"))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, -1, errors.Join(err, errors.New("one descriptor was expected"))
	}
	return data[:n], fds[0], nil
}

// execute makes this process the program, whose calls of reboot(2) are told through the
// socket's descriptor. It returns only if it fails.
func (p *successor) execute(socket, output int) error {
	(&initProcess{}).limits()
	listener, err := filterReboot()
	if err != nil {
		return fmt.Errorf("watch for its end: %w (this kernel needs CONFIG_SECCOMP_FILTER)", err)
	}
	if err := unix.Sendmsg(socket, []byte("filter"), unix.UnixRights(listener), nil, unix.MSG_NOSIGNAL); err != nil {
		return err
	}
	unix.Close(listener)
	for _, fd := range []int{1, 2} {
		if err := unix.Dup2(output, fd); err != nil {
			return err
		}
	}
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Dup2(null, 0)
	}
	if err == nil {
		err = os.Chdir("/")
	}
	if err != nil {
		return err
	}
	return syscall.Exec(p.File, p.Args, p.Env)
}

// filterReboot makes calls of reboot(2), by this thread and what descends from it, wait
// for who has the descriptor that it returns.
func filterReboot() (listener int, err error) {
	const (
		load, equal, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
		nr, arch         = 0, 4 // offsets in struct seccomp_data
		rebootI386       = 88
		allow            = 0x7fff0000
	)
	program := []unix.SockFilter{
		{Code: load, K: arch},
		{Code: equal, K: unix.AUDIT_ARCH_I386, Jt: 2},
		{Code: load, K: nr},
		{Code: equal, K: unix.SYS_REBOOT, Jt: 2, Jf: 3},
		{Code: load, K: nr},
		{Code: equal, K: rebootI386, Jf: 1},
		{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: ret, K: allow},
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	// Without SPEC_ALLOW kernels before 5.16 would mitigate more than they do unwatched.
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// successorStarter returns how the job makes a program PID 1; nil: it can't. It gives
// the job a /tmp of its own. The filter's descriptor is handed to hold.
func successorStarter(hold func(fd int) error) (func(file string, args, env []string, output io.Writer) (<-chan string, error), error) {
	value := os.Getenv(successorFD)
	if value == "" {
		return nil, nil
	}
	socket, err := strconv.Atoi(value)
	if err != nil {
		return nil, fmt.Errorf("open the way to PID 1: %w", err)
	}
	unix.CloseOnExec(socket)
	if err := errors.Join(os.Unsetenv(successorFD), unix.Mount("tmpfs", "/tmp", "tmpfs", 0, "")); err != nil {
		return nil, fmt.Errorf("mount a /tmp: %w", err)
	}
	return func(file string, args, env []string, output io.Writer) (<-chan string, error) {
		defer unix.Close(socket)
		listener, err := start(socket, successor{File: file, Args: args, Env: initEnv(env)}, output)
		if err == nil {
			err = hold(listener)
		}
		if err != nil {
			return nil, fmt.Errorf("run %s as PID 1: %w", file, err)
		}
		off := make(chan string, 1)
		go func() { off <- awaitReboot(listener) }()
		return off, nil
	}, nil
}

// start sends the program to PID 1, passes its output on, and returns the filter's
// descriptor when it has been executed.
func start(socket int, p successor, output io.Writer) (listener int, err error) {
	data, err := json.Marshal(p)
	if err != nil {
		return -1, err
	}
	if len(data) > maxSuccessor {
		return -1, syscall.E2BIG
	}
	r, w, err := os.Pipe()
	if err != nil {
		return -1, err
	}
	err = unix.Sendmsg(socket, data, unix.UnixRights(int(w.Fd())), nil, unix.MSG_NOSIGNAL)
	if err = errors.Join(err, w.Close()); err != nil {
		return -1, errors.Join(err, r.Close())
	}
	go func() {
		defer r.Close()
		_, _ = io.Copy(output, r)
	}()
	said, listener, err := receive(socket)
	if err != nil || listener < 0 {
		return -1, errors.Join(err, errors.New(string(said)))
	}
	// The socket ends when PID 1 has executed the program.
	if said, _, err = receive(socket); err != nil || len(said) > 0 {
		unix.Close(listener)
		return -1, errors.Join(err, errors.New(string(said)))
	}
	return listener, nil
}

// initEnv is the environment of PID 1: what the kernel gives it, and what is asked for,
// the last of a name.
func initEnv(asked []string) []string {
	var env []string
	at := map[string]int{}
	for _, e := range append([]string{"HOME=/", "TERM=linux"}, asked...) {
		name, _, _ := strings.Cut(e, "=")
		if i, have := at[name]; have {
			env[i] = e
			continue
		}
		at[name] = len(env)
		env = append(env, e)
	}
	return env
}

// seccompNotif and seccompResponse are the kernel's struct seccomp_notif and
// seccomp_notif_resp.
type (
	seccompNotif struct {
		id    uint64
		pid   uint32
		flags uint32
		nr    int32
		arch  uint32
		ip    uint64
		args  [6]uint64
	}
	seccompResponse struct {
		id    uint64
		val   int64
		err   int32
		flags uint32
	}
)

// offs are the commands of reboot(2) after which the machine isn't there any more.
var offs = map[uint32]string{
	unix.LINUX_REBOOT_CMD_POWER_OFF: "power off",
	unix.LINUX_REBOOT_CMD_HALT:      "halt",
	unix.LINUX_REBOOT_CMD_RESTART:   "restart",
	unix.LINUX_REBOOT_CMD_RESTART2:  "restart",
	unix.LINUX_REBOOT_CMD_KEXEC:     "kexec",
}

// awaitReboot lets calls of reboot(2) go on until one would end the machine, and returns
// how. That one waits for as long as the descriptor is open.
func awaitReboot(listener int) string {
	for {
		n := new(seccompNotif)
		if err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(n)); err != nil {
			if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) { // who called was killed
				continue
			}
			return "the last process ended: " + err.Error()
		}
		if how, ends := offs[uint32(n.args[2])]; ends && uint32(n.args[0]) == unix.LINUX_REBOOT_MAGIC1 {
			return how
		}
		proceed := &seccompResponse{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		_ = ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(proceed)) // it may have been killed
	}
}

func ioctl(fd int, request uintptr, data unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(data)); errno != 0 {
		return errno
	}
	return nil
}
