// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A guest's kernel may come from a stranger, and QEMU has had holes. So QEMU is
// confined: by its own seccomp filter, and where mapprof is root as a user who
// owns nothing. It gets all of its files as descriptors, and none by name.

// sandbox is QEMU's filter: no old system calls, no other user, no program, and no
// say in how it is scheduled.
const sandbox = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

// firstUser and users are a range of user IDs that nobody has for good: systemd's
// for services that have one while they run.
const (
	firstUser = 61184
	users     = 65520 - firstUser
)

// confinedUser is who QEMU runs as; nil: as who mapprof is. An error says why it
// stays root.
func confinedUser(accel string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if !mayKill() {
		return nil, errors.New("mapprof may not end another user's process (it lacks CAP_KILL)")
	}
	// Its own for each mapprof: no guest may touch another's.
	id := uint32(firstUser + os.Getpid()%users)
	user := &syscall.Credential{Uid: id, Gid: id}
	if accel != "kvm" {
		return user, nil
	}
	info, err := os.Stat(kvmDevice)
	if err != nil {
		return nil, err
	}
	group, all := kvmOpenTo(info)
	switch {
	case all:
	case group != 0:
		user.Groups = []uint32{group}
	default:
		return nil, fmt.Errorf("%s is open to root alone", kvmDevice)
	}
	return user, nil
}

const kvmDevice = "/dev/kvm"

// kvmOpenTo tells who may open the device: a group, if not root's, and all.
func kvmOpenTo(info fs.FileInfo) (group uint32, all bool) {
	const readWrite = 6
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && info.Mode().Perm()>>3&readWrite == readWrite {
		group = st.Gid
	}
	return group, info.Mode().Perm()&readWrite == readWrite
}

// mayKill tells whether this process may signal others' processes.
func mayKill() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_KILL) != 0
}

// startConfined starts QEMU as a user of its own where it can. Where it can't, why
// says so.
func startConfined(path string, m qemuMachine, files []*os.File) (p *process, why string, err error) {
	user, err := confinedUser(m.accel)
	if err == nil && user != nil {
		p, err = startProcess(path, m.args(), files, user)
		if err == nil {
			return p, "", nil
		}
	}
	if err != nil {
		why = fmt.Sprintf("QEMU runs as root: %v", err)
	}
	p, err = startProcess(path, m.args(), files, nil)
	return p, why, err
}
