// SPDX-License-Identifier: Apache-2.0

package results

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/mapprof/mapprof/results/inventory"
)

// SchemaVersion is the version of run.json that this program writes. Readers
// accept every version from 1 to this one and refuse a newer one. Version 2 has
// Files.
const SchemaVersion = 2

// Run is run.json: one invocation's result.
type Run struct {
	SchemaVersion int       `json:"schema_version"`
	Tool          Tool      `json:"tool"`
	Command       []string  `json:"command,omitempty"`
	Host          Host      `json:"host"`
	Target        Target    `json:"target"`  // the first of Targets
	Targets       []Target  `json:"targets"` // one per kernel
	Started       time.Time `json:"started"`
	Ended         time.Time `json:"ended"`
	// Partial marks a run that did not do all that it was asked for;
	// PartialReason says why.
	Partial       bool   `json:"partial"`
	PartialReason string `json:"partial_reason,omitempty"`
	// IntervalNS is how long the intervals are that a recording's histograms are of:
	// histograms.hlog has a row for each with its true length. 0: there is one row.
	IntervalNS int64 `json:"interval_ns,omitempty"`
	// Journal says that the recording had not ended: deaths and histograms are those
	// of its intervals up to Ended, and their files may have more.
	Journal   bool       `json:"journal,omitempty"`
	Scenarios []Scenario `json:"scenarios"`
	// Looks is how many times it was planned to look at the run whether a gate
	// decides, so that it could end; 0: it did what it was asked for.
	Looks int `json:"looks,omitempty"`
	// Stacks are the symbolised kernel stacks of who dropped last references,
	// innermost frame first, by StackID.
	Stacks map[string][]Frame `json:"stacks,omitempty"`
	// Loss sums the scenarios' losses by kind.
	Loss     map[string]uint64 `json:"loss"`
	Warnings []string          `json:"warnings"`
	// Files are the other files of the directory, by name: each is the one that
	// this run.json was written with, and no other belongs to it.
	Files map[string]File `json:"files"`
}

// Tool is the mapprof that made the run.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Go      string `json:"go"`
}

// Host is the machine that ran mapprof; it has no name on purpose.
type Host struct {
	OS          string `json:"os"`
	Arch        string `json:"arch"`
	Kernel      string `json:"kernel"`
	CPUs        int    `json:"cpus"` // online
	MemoryBytes uint64 `json:"memory_bytes"`
}

// Target is the kernel that was profiled and how it ran.
type Target struct {
	Kind  string `json:"kind"`           // "local" or "vm"
	Accel string `json:"accel"`          // "none" (local), "tcg" or "kvm"
	Clock string `json:"clock"`          // "wall" or "icount"
	Arch  string `json:"arch,omitempty"` // as Go calls it; see Architecture
	CPUs  int    `json:"cpus"`           // online
	// CPUsAllowed is how many of them the workload may run on: isolcpus,
	// cpusets and taskset keep it from the others. 0: not known.
	CPUsAllowed int     `json:"cpus_allowed,omitempty"`
	MemoryBytes uint64  `json:"memory_bytes"`
	QEMU        string  `json:"qemu,omitempty"`
	Kernel      Kernel  `json:"kernel"`
	Probes      []Probe `json:"probes"`
}

// Architecture is the target's. Runs from before there was another don't name it.
func (t *Target) Architecture() string { return cmp.Or(t.Arch, "amd64") }

// Kernel names the kernel and the knobs of it that change what is measured.
type Kernel struct {
	Requested string            `json:"requested,omitempty"` // as given to --kernel
	Release   string            `json:"release"`             // uname -r
	Build     string            `json:"build"`               // uname -v
	Cmdline   string            `json:"cmdline,omitempty"`
	SHA256    string            `json:"sha256,omitempty"` // of the image (vm only)
	Knobs     map[string]string `json:"knobs,omitempty"`  // CONFIG_HZ, preemption, rcupdate.*
}

// Probe is one function that the tracer wants to see, and how it sees it.
type Probe struct {
	Name      string `json:"name"`                // what it is for
	Function  string `json:"function"`            // the kernel's
	Mechanism string `json:"mechanism,omitempty"` // "fentry", "kprobe"; empty: not attached
	Reason    string `json:"reason,omitempty"`    // why not
	Required  bool   `json:"required,omitempty"`
}

// Strategy is how the kernel waits before it frees: as the workload asked for
// it and as the probes saw it.
type Strategy struct {
	Requested string `json:"requested"`
	// Observed is the path that most deaths took; empty without deaths.
	Observed string `json:"observed"`
	// Paths counts deaths by the exact path: waits joined by '+', in order
	// ("rcu", "tasks-trace+rcu", "rcu+sync", "immediate").
	Paths map[string]uint64 `json:"paths,omitempty"`
}

// AsRequested says whether nothing was observed that wasn't asked for.
func (s *Strategy) AsRequested() bool {
	return s.Observed == "" || s.Observed == s.Requested || s.Requested == StrategyAny
}

// How a workload begins its operations: each when the one before has ended, or
// at a rate.
const (
	LoopClosed = "closed"
	LoopOpen   = "open"
)

// Scenario is workload + parameters + strategy + kernel, over its trials.
type Scenario struct {
	ID       string            `json:"id"` // unique in the run; no comma, no space
	Workload string            `json:"workload"`
	Params   map[string]string `json:"params"`
	Loop     string            `json:"loop"`   // LoopOpen or LoopClosed
	Kernel   string            `json:"kernel"` // release
	TargetIx int               `json:"target"` // index in Run.Targets
	Strategy Strategy          `json:"strategy"`
	// Phases holds only the phases that exist on this kernel and path.
	Phases   map[string]Stats  `json:"phases"`
	Limbo    Limbo             `json:"limbo"`
	Metrics  map[string]Metric `json:"metrics,omitempty"`
	Trials   []Trial           `json:"trials"`
	Loss     map[string]uint64 `json:"loss"`
	Warnings []string          `json:"warnings,omitempty"`
}

// KernelName is the release, with "#2", "#3" … as in the ID where the run had
// more than one kernel of that release: two builds of one tree, or one image
// given twice.
func (s *Scenario) KernelName() string {
	name, ok := strings.CutPrefix(s.ID, s.Workload+"/")
	if ok {
		name, ok = strings.CutSuffix(name, "/"+s.Strategy.Requested)
	}
	i := strings.LastIndexByte(name, '#')
	if !ok || i < 0 {
		return s.Kernel
	}
	if n, err := strconv.ParseUint(name[i+1:], 10, 16); err != nil || n < 2 {
		return s.Kernel
	}
	return s.Kernel + name[i:]
}

// Trial is one repetition: one boot on a vm target, one fresh set-up on a
// local one. It is the unit of statistics.
type Trial struct {
	Index      int               `json:"index"`
	Puts       uint64            `json:"puts"`
	Freed      uint64            `json:"freed"`
	InFlight   uint64            `json:"in_flight"`
	Lost       uint64            `json:"lost"`
	Expected   uint64            `json:"expected"`           // last puts that the workload caused
	Excluded   map[string]uint64 `json:"excluded,omitempty"` // last puts of maps that aren't watched: up to 4 a death
	Ops        uint64            `json:"ops"`
	DurationNS uint64            `json:"duration_ns"` // of the measured part
	// Started is when the measured part began: by the clock of the machine that
	// mapprof was started on, but never before the trial before it had ended. Zero in
	// files of earlier versions.
	Started time.Time `json:"started,omitzero"`
	// OuterBytes is the memory of the workload's outer map, without the maps in
	// it: computed, of all that the kernel allocates for it.
	OuterBytes uint64 `json:"outer_bytes,omitempty"`
	// MemAvailableMinBytes is the least memory that the machine was seen to have
	// left (MemAvailable), about once a second; 0: not known.
	MemAvailableMinBytes uint64 `json:"mem_available_min_bytes,omitempty"`
	// Rate is that of an open loop; nil: a closed one, or a file of an earlier version.
	Rate *Rate `json:"rate,omitempty"`
	// StartPhaseNS is how long the trial waited before it began, so that
	// trials on a deterministic clock don't all meet the same ticks.
	StartPhaseNS int64            `json:"start_phase_ns,omitempty"`
	Phases       map[string]Stats `json:"phases"`
	// Expedited is how many of the update waits were in
	// synchronize_rcu_expedited(): all since 6.19, or with
	// rcupdate.rcu_expedited=1. (With rcu_normal=1 it waits as any other.)
	Expedited uint64       `json:"update_wait_expedited,omitempty"`
	Limbo     Limbo        `json:"limbo"`
	Timeline  []LimboPoint `json:"timeline,omitempty"`
	// GracePeriods are the first MaxGracePeriods that were seen to begin and
	// end during the trial, whatever caused them.
	GracePeriods []GracePeriod     `json:"grace_periods,omitempty"`
	Metrics      map[string]Metric `json:"metrics,omitempty"`
	Paths        map[string]uint64 `json:"paths,omitempty"`
	Pending      *Pending          `json:"pending,omitempty"`
	Loss         map[string]uint64 `json:"loss"`
	Warnings     []string          `json:"warnings,omitempty"`
	// Failures are what the workload found wrong with the kernel, Findings
	// what it found to be so.
	Failures []string `json:"failures,omitempty"`
	Findings []string `json:"findings,omitempty"`
	// Owners are whose the maps were that died, in a recording: those with the most
	// deaths, and last what all others add up to.
	Owners []OwnerSum `json:"owners,omitempty"`
	// Live are the maps that were alive when a recording began and ended.
	Live *inventory.Live `json:"live,omitempty"`
	// MaxRSSBytes is the most memory that the recording mapprof itself had resident.
	MaxRSSBytes uint64 `json:"max_rss_bytes,omitempty"`
	// RSS is what it had resident while it recorded, at most MaxRSS times.
	RSS []RSSPoint `json:"rss,omitempty"`
	// DeathsNotKept is how many deaths have no line of their own, since there were more
	// than --deaths-limit. They are in all other figures.
	DeathsNotKept uint64 `json:"deaths_not_kept,omitempty"`
	// Startup is what a recording took before it watched.
	Startup *Startup `json:"startup,omitempty"`
	// Stuck are the first MaxStuck deaths that were pending longer than --stuck-after,
	// MoreStuck is how many more there were. One that has ended since is a death as
	// any other; one that has not is in flight. None of them is lost.
	Stuck     []Stuck `json:"stuck,omitempty"`
	MoreStuck uint64  `json:"more_stuck,omitempty"`
	// PutsUnseen are the deaths that begin where they were enqueued, since two puts
	// raced.
	PutsUnseen uint64 `json:"puts_unseen,omitempty"`
	// Command is how the program ended that was recorded.
	Command *Command `json:"command,omitempty"`
	Partial bool     `json:"partial,omitempty"`
	// Reboots are the boots before the trial's own, each of which ended in a
	// panic that was taken for the emulator's.
	Reboots int `json:"reboots,omitempty"`
}

// Rate is how many operations a second an open loop was asked to start, and how
// many it did. What it did is never more than it was asked for.
type Rate struct {
	AskedPerSecond    float64 `json:"asked_per_second"`
	AchievedPerSecond float64 `json:"achieved_per_second"`
}

// KeptRate is the share of the asked rate that a trial must achieve for its
// figures to be those of that rate. Memory in limbo is proportional to the rate:
// at 95 % it is off by as much as the smallest change that the gate's default
// policy blocks.
const KeptRate = 0.95

// Kept says whether the achieved rate is the one that was asked for, or near
// enough. A nil Rate is kept: nothing was asked for.
func (r *Rate) Kept() bool { return r == nil || r.AchievedPerSecond >= KeptRate*r.AskedPerSecond }

// Balance checks puts = freed + in flight + lost.
func (t Trial) Balance() error {
	if t.Puts != t.Freed+t.InFlight+t.Lost {
		return fmt.Errorf("trial %d does not balance: %d puts, %d freed + %d in flight + %d lost = %d",
			t.Index, t.Puts, t.Freed, t.InFlight, t.Lost, t.Freed+t.InFlight+t.Lost)
	}
	return nil
}

// Stats are the figures of a phase's histogram. N, MaxNS, MinNS, MeanNS and
// SumNS are exact; the quantiles carry its HistogramDigits significant digits.
type Stats struct {
	N      uint64  `json:"n"`
	P50NS  int64   `json:"p50_ns"`
	P90NS  int64   `json:"p90_ns"`
	P99NS  int64   `json:"p99_ns"`
	MinNS  int64   `json:"min_ns"`
	MaxNS  int64   `json:"max_ns"`
	MeanNS float64 `json:"mean_ns"`
	SumNS  int64   `json:"sum_ns"`
}

// Metric is a figure that is not a phase: cost per lookup, MiB/s of zeroing.
type Metric struct {
	N    uint64  `json:"n"`
	Unit string  `json:"unit"` // "ns/op", "instructions/op", "bytes", "ns"
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
	// Better is "lower" (default when empty) or "higher".
	Better string `json:"better,omitempty"`
	// How says how it was measured, where that needs saying.
	How string `json:"how,omitempty"`
	// Difference says that it is one of two measurements: only then a value
	// may be negative.
	Difference bool `json:"difference,omitempty"`
	// BucketWidth is set where the quantiles come from a histogram: how wide
	// its buckets are at most, as a fraction of the value (1/128 at two
	// significant digits). All other figures are exact.
	BucketWidth float64 `json:"bucket_width,omitempty"`
	// Sample is set where one call in so many was timed, a power of two, and
	// Seen to how many calls there were: N of them were timed. Calls for other
	// maps are among those seen.
	Sample uint64 `json:"sample,omitempty"`
	Seen   uint64 `json:"seen,omitempty"`
}

// Limbo is the memory that freed maps still hold.
type Limbo struct {
	PeakBytes   uint64  `json:"peak_bytes"`
	PeakMaps    uint64  `json:"peak_maps"`
	ByteSeconds float64 `json:"byte_seconds"`
}

// LimboPoint is the memory in limbo at one moment of a trial. A timeline has
// at most a few hundred points; each keeps the maximum of its interval.
type LimboPoint struct {
	AtNS  int64  `json:"at_ns"` // since the trial's first put
	Bytes uint64 `json:"bytes"`
	Maps  uint64 `json:"maps"`
}

// MaxGracePeriods is how many grace periods run.json keeps of a trial.
const MaxGracePeriods = 2000

// GracePeriod is one of the whole system's, in the target's ktime.
type GracePeriod struct {
	Kind    string `json:"kind"` // "rcu" or "tasks-trace"
	StartNS int64  `json:"start_ns"`
	EndNS   int64  `json:"end_ns"`
}

// Pending are deaths that had not ended when the trial did: censored, each
// known only to last at least as long as it was watched.
type Pending struct {
	N     uint64 `json:"n"`
	MinNS int64  `json:"min_ns"` // the youngest: every one lasts ≥ this
	MaxNS int64  `json:"max_ns"` // the oldest
}

// Frame is one symbolised frame of a kernel stack.
type Frame struct {
	Function string `json:"f"`
	Module   string `json:"m,omitempty"` // "bpf" for BPF programs, else a module
	Offset   uint64 `json:"o,omitempty"`
}

// StackID returns a short stable name for a stack: equal stacks of two boots
// have equal names.
func StackID(frames []Frame) string {
	h := fnv.New64a()
	for _, f := range frames {
		fmt.Fprintf(h, "%s\x00%s\x00%x\n", f.Function, f.Module, f.Offset)
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// Death is one map from last put to freed: one line of deaths.jsonl.zst.
// Times are the target's ktime; 0 means that the stage does not exist.
type Death struct {
	Scenario string `json:"s"`
	Trial    int    `json:"t"`
	Path     string `json:"path"`

	MapID      uint32 `json:"map_id"`
	MapType    string `json:"map_type"`
	MapName    string `json:"map_name"`
	Outer      string `json:"outer,omitempty"` // outer map type the workload used
	KeySize    uint32 `json:"key_size"`
	ValueSize  uint32 `json:"value_size"`
	MaxEntries uint32 `json:"max_entries"`
	MemBytes   uint64 `json:"mem_bytes"`

	PutNS           int64  `json:"put_ns"`
	EnqueueNS       int64  `json:"enqueue_ns,omitempty"`         // first call_rcu*
	TasksTraceEndNS int64  `json:"tasks_trace_end_ns,omitempty"` // its callback
	RCUEnqueueNS    int64  `json:"rcu_enqueue_ns,omitempty"`     // call_rcu
	RCUEndNS        int64  `json:"rcu_end_ns,omitempty"`         // its callback
	FreeNS          int64  `json:"free_ns"`                      // worker entry
	FreedNS         int64  `json:"freed_ns"`                     // worker exit
	FreeWaitNS      int64  `json:"free_wait_ns,omitempty"`       // synchronize_rcu* inside free
	CPUPut          int    `json:"cpu_put"`
	CPUFree         int    `json:"cpu_free"`
	Comm            string `json:"comm,omitempty"`
	Stack           string `json:"stack,omitempty"` // key of Run.Stacks; empty: none

	// Owner is whose the map was, in a recording; nil: a workload's.
	Owner *Owner `json:"owner,omitempty"`
	// PutUnseen says that the last two references were dropped at once, so that
	// PutNS is when the map was enqueued.
	PutUnseen bool `json:"put_unseen,omitempty"`
}

// Find returns the scenario with that ID, or nil.
func (r *Run) Find(id string) *Scenario {
	for i := range r.Scenarios {
		if r.Scenarios[i].ID == id {
			return &r.Scenarios[i]
		}
	}
	return nil
}

// SumLoss adds up the scenarios' losses into r.Loss.
func (r *Run) SumLoss() {
	r.Loss = map[string]uint64{}
	for _, s := range r.Scenarios {
		for k, v := range s.Loss {
			r.Loss[k] += v
		}
	}
}

// LossText lists the non-zero kinds of a loss, sorted, or "none".
func LossText(loss map[string]uint64) string {
	var parts []string
	for k, v := range loss {
		if v != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", k, v))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}
