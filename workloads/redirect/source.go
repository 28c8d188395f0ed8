// SPDX-License-Identifier: Apache-2.0

//go:build linux

package redirect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads/mapops"
)

// stream tells frames of one source from those of another.
type stream uint32

const (
	measured stream = iota // bursts that are measured
	passing                // bursts that pass while maps die
)

// A source has a program receive bursts of frames.
type source interface {
	// send sends a burst to a program, and tells how long it took by what the source
	// measures; 0: that isn't known.
	send(prog *ebpf.Program, frames uint32) (ns float64, err error)
	// letGo has the source hold no program that send was given.
	letGo() error
	Close() error
}

// The frames: Ethernet, IPv4 and TCP, which the kernel can make many of.
const (
	ethernetBytes = 14
	headerBytes   = ethernetBytes + 20 + 20
	payloadBytes  = 64
)

// mark begins the frames, as in redirect.bpf.c.
const mark = "\x02mpxd"

// packet is what a source sends: so many frames in one.
func packet(s stream, frames uint32) []byte {
	b := make([]byte, headerBytes+frames*payloadBytes)
	copy(b, append([]byte(mark), byte(s)))
	copy(b[6:], "\x02mpxdx")
	binary.BigEndian.PutUint16(b[12:], unix.ETH_P_IP)
	ip := b[ethernetBytes:]
	ip[0] = 0x45 // version 4, five words
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	ip[8], ip[9] = 1, unix.IPPROTO_TCP // it goes no further than here
	copy(ip[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	ip[20+12] = 5 << 4 // words of TCP's header
	return b
}

// live has the kernel make frames itself (BPF_F_TEST_XDP_LIVE_FRAMES, 5.18).
type live struct{ frame []byte }

const xdpLiveFrames = 1 << 1 // BPF_F_TEST_XDP_LIVE_FRAMES

// testRun is what BPF_PROG_TEST_RUN takes. The library repeats what was interrupted, and
// doesn't tell how long it took.
type testRun struct {
	fd, verdict, bytesIn, bytesOut uint32
	in                             unsafe.Pointer
	out                            uint64
	repeat, duration               uint32
	contextIn, contextOut          uint32
	contexts                       [2]uint64
	flags, cpu, batch, _           uint32
}

// send implements source. The kernel measures its loop, in which it redirects and
// flushes, for each frame.
func (l live) send(prog *ebpf.Program, frames uint32) (ns float64, err error) {
	attr := testRun{fd: uint32(prog.FD()), bytesIn: uint32(len(l.frame)), in: unsafe.Pointer(&l.frame[0]), repeat: frames, batch: frames, flags: xdpLiveFrames}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(prog)
	switch errno {
	case 0:
		return float64(attr.duration) * float64(frames), nil
	case unix.EINTR: // a part was sent, of which the program keeps count
		return 0, nil
	}
	return 0, fmt.Errorf("run a program on live frames: %w", errno)
}

func (live) letGo() error { return nil }
func (live) Close() error { return nil }

// segments sends one packet that the kernel cuts into frames, which a device receives in
// one poll.
type segments struct {
	socket  int
	to      unix.SockaddrLinklayer
	packet  []byte // of one frame, or of as many as there were
	stream  stream
	frames  uint32
	at      link.Link // of the program that receives
	prog    *ebpf.Program
	resting *ebpf.Program // redirects nothing
}

// newSegments makes two devices, of which one sends to the other. No device may have
// the name.
func newSegments(s stream, resting *ebpf.Program) (_ source, err error) {
	pair, err := newPair(fmt.Sprintf("mpsend%d", s), fmt.Sprintf("mprecv%d", s))
	if err != nil {
		return nil, err
	}
	g := &segments{socket: -1, stream: s, resting: resting, prog: resting, to: unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_IP), Ifindex: pair[0], Halen: 6}}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	if g.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	if err := unix.SetsockoptInt(g.socket, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		return nil, fmt.Errorf("prepare a packet socket: %w", err)
	}
	if g.at, err = attachXDP(resting, pair[1]); err != nil {
		return nil, err
	}
	return g, nil
}

func bigEndian(n uint16) uint16 { return n<<8 | n>>8 }

// attachXDP attaches a program where the device's driver receives, for elsewhere nothing
// is moved in bulks.
func attachXDP(prog *ebpf.Program, device int) (link.Link, error) {
	l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: device, Flags: link.XDPDriverMode})
	if err != nil {
		return nil, fmt.Errorf("attach a program to a device: %w", err)
	}
	return l, nil
}

// virtioHeader begins what the socket is given: a packet to be cut as TCP is
// (struct virtio_net_hdr).
func virtioHeader(frames uint32) []byte {
	b := make([]byte, 10)
	if frames > 1 {
		b[0], b[1] = 1, 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4
		for i, n := range []uint16{headerBytes, payloadBytes, ethernetBytes + 20, 16} {
			binary.NativeEndian.PutUint16(b[2+2*i:], n)
		}
	}
	return b
}

// send implements source. The time is that of the system call, in which the devices
// receive, too.
func (g *segments) send(prog *ebpf.Program, frames uint32) (ns float64, err error) {
	if g.prog != prog {
		if err := g.at.Update(prog); err != nil {
			return 0, fmt.Errorf("attach a program to a device: %w", err)
		}
		g.prog = prog
	}
	if g.frames != frames {
		g.packet, g.frames = append(virtioHeader(frames), packet(g.stream, frames)...), frames
	}
	took, err := mapops.Timed(func() error { return unix.Sendto(g.socket, g.packet, 0, &g.to) })
	if err != nil {
		return 0, fmt.Errorf("send frames: %w", err)
	}
	return took.NS(), nil
}

func (g *segments) letGo() error {
	g.prog = g.resting
	return g.at.Update(g.resting)
}

// Close implements source.
func (g *segments) Close() (err error) {
	if g.at != nil {
		err = g.at.Close()
	}
	if g.socket >= 0 {
		err = errors.Join(err, unix.Close(g.socket))
	}
	return err
}
