// SPDX-License-Identifier: Apache-2.0

//go:build linux

package redirect

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"--to=cpumap --frames=1 --bursts=500 --count=1000", ""},
		{"--to=xskmap", "--to"},
		{"--frames=0", "--frames must be from 1 to 64"},
		{"--frames=65", "--frames must be from 1 to 64"},
		{"--bursts=0", "--bursts must be from 1 to 500"},
		{"--bursts=501", "--bursts must be from 1 to 500"},
		{"--count=0", "--count must be from 1 to 1000"},
		{"--count=1001", "--count must be from 1 to 1000"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, results.StrategyAny, tt.want)
	}
	workloadtest.CheckArgs(t, new(Workload), "", results.StrategyRCU, "strategy")
	for release, refused := range map[string]bool{"5.8.0": true, "5.9.0": false, "7.2.1": false} {
		if err := new(Workload).CheckTarget(results.StrategyAny, workloads.Target{Release: release}); (err != nil) != refused {
			t.Errorf("%s: %v", release, err)
		}
	}
	for to, deaths := range map[string]uint64{toDevmap: 7, toIfindex: 0} {
		if got := (&Workload{To: to, Count: 7}).Deaths(); got != deaths {
			t.Errorf("%s: %d maps die, want %d", to, got, deaths)
		}
	}
}

// TestPacket: a packet is as long as its headers say, and begins with what the programs
// look for.
func TestPacket(t *testing.T) {
	b := packet(passing, 64)
	if len(b) != headerBytes+64*payloadBytes || !bytes.HasPrefix(b, []byte("\x02mpxd\x01")) {
		t.Errorf("%d bytes: %x", len(b), b[:8])
	}
	if n := binary.BigEndian.Uint16(b[ethernetBytes+2:]); int(n) != len(b)-ethernetBytes {
		t.Errorf("IPv4 has %d bytes of %d", n, len(b))
	}
	if got, want := virtioHeader(1), make([]byte, 10); !bytes.Equal(got, want) {
		t.Errorf("of one frame: %x", got)
	}
	var fields [4]uint16
	h := virtioHeader(2)
	for i := range fields {
		fields[i] = binary.NativeEndian.Uint16(h[2+2*i:])
	}
	if h[0] != 1 || h[1] != 1 || fields != [4]uint16{headerBytes, payloadBytes, 34, 16} {
		t.Errorf("of two: %x", h)
	}
}

// TestTestRun: the structure is the kernel's, of which fields are where linux/bpf.h has
// them.
func TestTestRun(t *testing.T) {
	var a testRun
	if got, want := []uintptr{unsafe.Offsetof(a.in), unsafe.Offsetof(a.repeat), unsafe.Offsetof(a.contexts), unsafe.Offsetof(a.flags), unsafe.Offsetof(a.batch), unsafe.Sizeof(a)},
		[]uintptr{16, 32, 48, 64, 72, 80}; !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
}

// TestNewLinkMessage reads the message back: each attribute is within the one around it.
func TestNewLinkMessage(t *testing.T) {
	m := newLinkMessage("one", "other")
	if n := binary.NativeEndian.Uint32(m); int(n) != len(m) || len(m)%4 != 0 {
		t.Errorf("%d bytes of %d", n, len(m))
	}
	attributes := func(b []byte) map[uint16][]byte {
		found := map[uint16][]byte{}
		for len(b) >= unix.SizeofRtAttr {
			n := int(binary.NativeEndian.Uint16(b))
			if n < unix.SizeofRtAttr || n > len(b) {
				t.Fatalf("an attribute of %d bytes in %d", n, len(b))
			}
			found[binary.NativeEndian.Uint16(b[2:])] = b[unix.SizeofRtAttr:n]
			b = b[min((n+3)&^3, len(b)):]
		}
		return found
	}
	link := attributes(m[unix.NLMSG_HDRLEN+unix.SizeofIfInfomsg:])
	info := attributes(link[unix.IFLA_LINKINFO])
	peer := attributes(info[unix.IFLA_INFO_DATA])[vethInfoPeer]
	if len(peer) < unix.SizeofIfInfomsg {
		t.Fatalf("the peer is %x", peer)
	}
	if one, other := link[unix.IFLA_IFNAME], attributes(peer[unix.SizeofIfInfomsg:])[unix.IFLA_IFNAME]; string(one) != "one\x00" || string(other) != "other\x00" || string(info[unix.IFLA_INFO_KIND]) != "veth" {
		t.Errorf("%q and %q of kind %q", one, other, info[unix.IFLA_INFO_KIND])
	}
}

// TestKeepCalls: what a frame takes in bulks is left out where not every call was timed.
func TestKeepCalls(t *testing.T) {
	list := []workloads.Call{{BeginNS: 10, EndNS: 50}, {BeginNS: 60, EndNS: 80}}
	for unseen, want := range map[uint64][]float64{0: {20}, 1: nil} {
		i := &instance{result: workloads.Result{Metrics: map[string]workloads.Metric{}}}
		i.keepCalls(map[string]workloads.Calls{bulkCalls: {Function: "bq_xmit_all", List: list, Unseen: unseen}, flushCalls: {Function: "xdp_do_flush", List: list[:1]}}, 3)
		for name, want := range map[string][]float64{bulkCalls: {40, 20}, flushCalls: {40}, bulkCalls + ".frame": want} {
			if got := i.result.Metrics[name].Values; !slices.Equal(got, want) {
				t.Errorf("%d unseen: %s: %v, want %v", unseen, name, got, want)
			}
		}
		if len(i.result.Warnings) != int(unseen) {
			t.Errorf("warned %q", i.result.Warnings)
		}
	}
}
