// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/collect/kallsyms"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
)

// Owners completes the deaths of maps that are other programs': by name, cgroup,
// container, and the sleepable programs that keep an outer map on the slower path.
// After Start it is the collector's goroutine's.
type Owners struct {
	wanted    func(d *results.Death, inTree bool) bool // nil: all
	inventory *probes.Inventory                        // nil: no iterators
	cgroups   *cgroupPaths
	names     names

	pins map[uint32][]pin // sleepable programs by the id of a map that they use
	live liveMaps

	stuck watchdog
}

// pin is a sleepable program that uses a map, and when it does.
type pin struct {
	id              uint32
	name            string
	firstNS, lastNS int64
}

// NewOwners returns what completes deaths. wanted says which are, nil: all; inTree
// tells it whether the map is of the process that probes.Owners.PID names.
// Without an inventory no program is named.
func NewOwners(inventory *probes.Inventory, wanted func(d *results.Death, inTree bool) bool) *Owners {
	return &Owners{
		wanted: wanted, inventory: inventory, cgroups: newCgroupPaths("/sys/fs/cgroup"), names: names{}, pins: map[uint32][]pin{},
	}
}

// SetOwn says which live maps are mapprof's own, by their ids.
func (o *Owners) SetOwn(ids []uint32) {
	o.live.own = map[uint32]bool{}
	for _, id := range ids {
		o.live.own[id] = true
	}
}

// KernelAddresses finds what probes.Owners and probes.NewInventory ask for, 0 where
// the kernel doesn't tell.
func KernelAddresses() (callbacks [3]uint64, inventory [len(probes.InventorySymbols)]uint64, err error) {
	names := slices.Concat(probes.FreeCallbacks[:], probes.InventorySymbols[:])
	found, err := probes.SymbolAddresses(names)
	if err != nil { // as on an older kernel: from the text, which takes longer
		found, err = kallsyms.Addresses(names...)
	}
	if err != nil {
		return callbacks, inventory, fmt.Errorf("find functions of the kernel: %w", err)
	}
	for i, name := range probes.FreeCallbacks {
		callbacks[i] = found[name]
	}
	for i, name := range probes.InventorySymbols {
		inventory[i] = found[name]
	}
	return callbacks, inventory, nil
}

// NoAddresses says that the kernel tells no addresses, and why.
func NoAddresses() string {
	if missing := probes.Missing(unix.CAP_SYSLOG); missing != "" {
		return "the kernel tells no addresses (" + missing + " is missing)"
	}
	return "the kernel tells no addresses (kernel.kptr_restrict)"
}

// complete adds to d whose it was, and tells whether it is wanted.
func (o *Owners) complete(d *results.Death, e *probes.Owner) bool {
	owner := &results.Owner{
		OuterID: e.OuterId, OuterName: o.names.text(&e.OuterName),
		Creator: o.names.text(&e.CreatorComm), CreatorExe: o.exe(e), CreatorPID: e.CreatorTgid, CreatedNS: int64(e.CreatedNs), PutPID: e.PutTgid,
	}
	if e.OuterId != 0 {
		d.Outer = results.MapTypeNumbered(e.OuterType).Display
	}
	if e.Flags&probes.OwnerDeferKnown != 0 {
		deferred := e.Flags&probes.OwnerDefer != 0
		owner.Deferred = &deferred
	}
	cgroup := e.CreatorCgroup
	if cgroup == 0 {
		cgroup = e.PutCgroup
	}
	owner.Cgroup = o.cgroups.path(cgroup)
	owner.Container = containerOf(owner.Cgroup)
	if e.OuterSleepable > 0 && strings.Contains(d.Path, results.StrategyTasksTrace) {
		owner.PinnedBy = o.pinnedBy(e.OuterId, d.PutNS)
	}
	d.PutUnseen = e.Flags&probes.OwnerPutUnseen != 0
	d.Owner = owner
	return o.wanted == nil || o.wanted(d, e.Flags&probes.OwnerInTree != 0)
}

// exe is the name of what the creator executed, empty where it begins as its comm does,
// or the comm as it: python3 and python3.13.
func (o *Owners) exe(e *probes.Owner) string {
	comm, exe := o.names.text(&e.CreatorComm), o.names.text(&e.CreatorExe)
	if strings.HasPrefix(comm, exe) || strings.HasPrefix(exe, comm) {
		return ""
	}
	return exe
}

// pinnedBy names the sleepable programs that used an outer map when one of its maps
// was dropped.
func (o *Owners) pinnedBy(outer uint32, putNS int64) []string {
	var names []string
	for _, p := range o.pins[outer] {
		if putNS >= p.firstNS && putNS <= p.lastNS && !slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names
}

// change takes up that a sleepable program was loaded, or is freed.
func (o *Owners) change(e *probes.ProgEvent) {
	maps := e.Maps[:min(int(e.UsedMaps), len(e.Maps))]
	if e.Freed == 0 {
		o.pin(e.Id, programName(e.Id, &e.Name, untilNUL(e.Comm[:])), int64(e.AtNs), maps)
		return
	}
	for _, outer := range maps {
		pins := o.pins[outer]
		for i := range pins {
			if pins[i].id == e.Id && pins[i].lastNS == math.MaxInt64 {
				pins[i].lastNS = int64(e.AtNs)
			}
		}
		o.forget(outer, int64(e.AtNs))
	}
}

// pin says that a program uses maps from then on.
func (o *Owners) pin(id uint32, name string, firstNS int64, maps []uint32) {
	for _, m := range maps {
		have := slices.ContainsFunc(o.pins[m], func(p pin) bool { return p.id == id && p.lastNS == math.MaxInt64 })
		if !have && (o.pins[m] != nil || len(o.pins) < maxPinned) {
			o.pins[m] = append(o.pins[m], pin{id, name, firstNS, math.MaxInt64})
		}
	}
}

const (
	// keptPins is how long a program that has gone is known: its deaths are still to
	// come.
	keptPins = int64(10 * time.Minute)
	// maxPinned bounds the maps whose programs are known.
	maxPinned = 1 << 16
)

func (o *Owners) forget(outer uint32, now int64) {
	o.pins[outer] = slices.DeleteFunc(o.pins[outer], func(p pin) bool { return p.lastNS < now-keptPins })
	if len(o.pins[outer]) > 64 { // loaded and freed all the time
		o.pins[outer] = slices.Clone(o.pins[outer][32:])
	}
}

// programName is a program's name and that of who loaded it, or holds it.
func programName(id uint32, name *[16]int8, comm string) string {
	text := untilNUL(name[:])
	if text == "" {
		text = fmt.Sprintf("program %d", id)
	}
	if comm != "" {
		text += " of " + comm
	}
	return text
}

// containerOf is the id of a container in the path of its cgroup, in its short form;
// empty: there is none. Runtimes put it, 64 hexadecimal digits, into the last parts.
func containerOf(cgroup string) string {
	for dir := cgroup; dir != "" && dir != "/" && dir != "."; dir = path.Dir(dir) {
		name := strings.TrimSuffix(path.Base(dir), ".scope")
		if i := strings.LastIndexAny(name, "-:"); i >= 0 {
			name = name[i+1:]
		}
		if len(name) == 64 && strings.Trim(name, "0123456789abcdef") == "" {
			return name[:12]
		}
	}
	return ""
}
