// SPDX-License-Identifier: Apache-2.0

//go:build linux

package redirect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace. Its devices end with its last descriptor.
type namespace struct{ file *os.File }

// threadNet is the calling thread's.
const threadNet = "/proc/thread-self/ns/net"

func newNamespace() (n *namespace, err error) {
	err = apart(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		file, err := os.Open(threadNet)
		n = &namespace{file}
		return err
	})
	return n, err
}

// apart runs f on a thread that may change its network namespace, and has its own again
// afterwards.
func apart(f func() error) (err error) {
	runtime.LockOSThread()
	own, err := os.Open(threadNet)
	if err != nil {
		return err
	}
	defer own.Close()
	defer func() {
		// A thread that can't go back stays locked, and ends with its goroutine.
		back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET)
		if back == nil {
			runtime.UnlockOSThread()
		}
		err = errors.Join(err, back)
	}()
	return f()
}

// do runs f in the namespace.
func (n *namespace) do(f func() error) error {
	return apart(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
		return f()
	})
}

// vethKind is a pair of devices, of which either receives what the other sends; and the
// kernel's module.
const vethKind = "veth"

// vethInfoPeer is the attribute of a new pair that has the other device
// (VETH_INFO_PEER of linux/veth.h).
const vethInfoPeer = 1

// newPair makes two devices, brings both up, and returns their indexes.
func newPair(one, other string) (indexes [2]int, err error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return indexes, fmt.Errorf("make devices: %w", err)
	}
	defer unix.Close(s)
	if err := unix.Sendto(s, newLinkMessage(one, other), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return indexes, fmt.Errorf("make devices: %w", err)
	}
	reply := make([]byte, 4096)
	n, _, err := unix.Recvfrom(s, reply, 0)
	switch {
	case err != nil:
		return indexes, fmt.Errorf("make devices: %w", err)
	case n < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(reply[4:]) != unix.NLMSG_ERROR:
		return indexes, errors.New("make devices: the kernel's answer is none")
	}
	if errno := -int32(binary.NativeEndian.Uint32(reply[unix.NLMSG_HDRLEN:])); errno != 0 {
		return indexes, fmt.Errorf("make a pair of devices: %w (the kernel needs CONFIG_VETH, built in or as the module %s)", unix.Errno(errno), vethKind)
	}
	for i, name := range []string{one, other} {
		if indexes[i], err = bringUp(name); err != nil {
			return indexes, fmt.Errorf("bring up %s: %w", name, err)
		}
	}
	return indexes, nil
}

// newLinkMessage asks for a pair, and for an answer.
func newLinkMessage(one, other string) []byte {
	peer := append(make([]byte, unix.SizeofIfInfomsg), attribute(unix.IFLA_IFNAME, []byte(other+"\x00"))...)
	info := append(attribute(unix.IFLA_INFO_KIND, []byte(vethKind)), attribute(unix.IFLA_INFO_DATA, attribute(vethInfoPeer, peer))...)
	body := append(make([]byte, unix.SizeofIfInfomsg), attribute(unix.IFLA_IFNAME, []byte(one+"\x00"))...)
	body = append(body, attribute(unix.IFLA_LINKINFO, info)...)
	b := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(body))
	binary.NativeEndian.PutUint32(b, uint32(unix.NLMSG_HDRLEN+len(body)))
	binary.NativeEndian.PutUint16(b[4:], unix.RTM_NEWLINK)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	return append(b, body...)
}

// attribute is one of a netlink message, padded.
func attribute(kind uint16, value []byte) []byte {
	b := make([]byte, unix.SizeofRtAttr, unix.SizeofRtAttr+len(value)+unix.RTA_ALIGNTO)
	binary.NativeEndian.PutUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	binary.NativeEndian.PutUint16(b[2:], kind)
	b = append(b, value...)
	for len(b)%unix.RTA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

func bringUp(name string) (index int, err error) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(s)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	ifr.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, ifr); err != nil {
		return 0, err
	}
	device, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	return device.Index, nil
}
