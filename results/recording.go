// SPDX-License-Identifier: Apache-2.0

package results

// Startup is what a recording takes before it watches.
type Startup struct {
	// WatchingNS is from the begin of the trial until deaths are watched.
	WatchingNS int64 `json:"watching_ns"`
	// AttachNS is the part of it in which programs are loaded and attached, those of
	// the inventory too. The kernel's types are decoded for it.
	AttachNS int64 `json:"attach_ns"`
	// InventoryNS is the part of it in which the live maps are listed.
	InventoryNS int64 `json:"inventory_ns"`
}

// BeyondAttachNS is what it takes beside attaching.
func (s *Startup) BeyondAttachNS() int64 { return s.WatchingNS - s.AttachNS }

// OwnerSum is what the deaths of maps add up to that are alike in whose they were and
// in the path that they took.
type OwnerSum struct {
	Outer     string   `json:"outer,omitempty"` // its type
	OuterID   uint32   `json:"outer_id,omitempty"`
	OuterName string   `json:"outer_name,omitempty"`
	Creator   string   `json:"creator,omitempty"`
	Comm      string   `json:"comm,omitempty"` // of who dropped the last reference
	Cgroup    string   `json:"cgroup,omitempty"`
	Container string   `json:"container,omitempty"`
	Path      string   `json:"path,omitempty"`
	PinnedBy  []string `json:"pinned_by,omitempty"`
	// Others says that this is the sum of all owners that have no entry.
	Others bool   `json:"others,omitempty"`
	Deaths uint64 `json:"deaths"`
	// MissedAtMost is how many deaths of this owner may be among the others: it had
	// no entry from the begin.
	MissedAtMost uint64 `json:"missed_at_most,omitempty"`
	Bytes        uint64 `json:"bytes"` // of their maps
	Limbo        Stats  `json:"limbo"`
}

// MaxRSS is how many points Trial.RSS has at most.
const MaxRSS = 256

// RSSPoint is the memory that a recording mapprof had resident at one moment.
type RSSPoint struct {
	AtNS  int64  `json:"at_ns"` // since the recording's begin
	Bytes uint64 `json:"bytes"`
}

// MaxStuck is how many deaths that were stuck run.json keeps of a trial.
const MaxStuck = 64

// Stuck is a death that was pending for long, as it was when that was seen.
type Stuck struct {
	MapID     uint32 `json:"map_id"`
	MapName   string `json:"map_name,omitempty"`
	MapType   string `json:"map_type"`
	Bytes     uint64 `json:"bytes"`
	OuterID   uint32 `json:"outer_id,omitempty"`
	OuterName string `json:"outer_name,omitempty"`
	Creator   string `json:"creator,omitempty"`
	Phase     string `json:"phase"` // the one that it was in
	PutNS     int64  `json:"put_ns"`
	SeenNS    int64  `json:"seen_ns"`            // when it was reported
	FreedNS   int64  `json:"freed_ns,omitempty"` // 0: it had not ended when the trial did
	// GracePeriod is what the kernel told of its grace periods; empty: nothing.
	GracePeriod string `json:"grace_period,omitempty"`
	// Worker is the kernel thread that frees it, with its stack; empty: none did yet.
	Worker   string   `json:"worker,omitempty"`
	PinnedBy []string `json:"pinned_by,omitempty"`
}

// Command is how a program ended that was recorded.
type Command struct {
	Args     []string `json:"args"`
	ExitCode int      `json:"exit_code"` // 128+n where a signal ended it
	Signal   string   `json:"signal,omitempty"`
	// Stopped says that it was ended since the recording was over.
	Stopped bool `json:"stopped,omitempty"`
}

// Owner is whose a map was. What is not known is empty or 0.
type Owner struct {
	// OuterID and OuterName are of the outer map that it was last taken out of.
	OuterID   uint32 `json:"outer_id,omitempty"`
	OuterName string `json:"outer_name,omitempty"`
	// Deferred says whether the outer map was in use then, so that the free waits for
	// a grace period (need_defer, kernel 20c20bd11a13); nil: the kernel doesn't say.
	Deferred *bool `json:"need_defer,omitempty"`
	// Creator, CreatorPID and CreatedNS are of a map that was created while the
	// recording watched. CreatorExe is the name of the file that it executed, cut at 15
	// bytes, where that is another name than Creator, which is its comm.
	Creator    string `json:"creator,omitempty"`
	CreatorExe string `json:"creator_exe,omitempty"`
	CreatorPID uint32 `json:"creator_pid,omitempty"`
	CreatedNS  int64  `json:"created_ns,omitempty"`
	PutPID     uint32 `json:"put_pid,omitempty"` // of who dropped the last reference
	// Cgroup is the creator's, or else that of who dropped it: the path below the
	// root of cgroups. Container is the container's id in it.
	Cgroup    string `json:"cgroup,omitempty"`
	Container string `json:"container,omitempty"`
	// PinnedBy are the sleepable programs for which the free waits for a tasks-trace
	// grace period (af66bfd3c853): "NAME of COMM".
	PinnedBy []string `json:"pinned_by,omitempty"`
}

// CreatorName is the creator as tables have it: "COMM", or "COMM of EXE".
func (o *Owner) CreatorName() string {
	if o.CreatorExe == "" {
		return o.Creator
	}
	return o.Creator + " of " + o.CreatorExe
}
