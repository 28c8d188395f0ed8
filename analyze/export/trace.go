// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

func init() {
	registerExport(Format{
		Name:    "trace",
		Summary: "Chrome trace JSON: ui.perfetto.dev, chrome://tracing",
		Write:   func(d *results.Dir, w io.Writer) error { return WriteTrace(w, d) },
	})
}

// WriteTrace writes every death of a run as Chrome trace JSON. Each trial is a
// process whose time begins with its first put. A death is a slice with its
// phases as slices inside; deaths at one time lie in different lanes (threads),
// such that slices of a lane nest and never overlap. Counters follow the trial's
// timeline: maps in limbo, and their bytes. Times are microseconds with three
// digits behind the point: no nanosecond is rounded away.
//
// The deaths are read twice and never kept: what is kept grows with the number
// of trials and lanes. A run that has none on disk (--no-deaths) is an error
// that is os.ErrNotExist.
func WriteTrace(w io.Writer, dir *results.Dir) error {
	t := &tracer{w: bufio.NewWriterSize(w, 64<<10), run: dir.Run, trials: map[trialKey]*traceTrial{}}
	if err := t.survey(dir); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w (the run was made with --no-deaths)", err)
		}
		return fmt.Errorf("write trace: %w", err)
	}
	if len(t.trials) == 0 {
		return empty("trace", "deaths", dir.Run)
	}
	t.begin()
	err := dir.Deaths(func(d *results.Death) error { return t.death(d) })
	if err == nil {
		t.end()
		err = errors.Join(t.err, t.w.Flush())
	}
	if err != nil {
		return fmt.Errorf("write trace: %w", err)
	}
	return nil
}

type trialKey struct {
	scenario string
	trial    int
}

// traceTrial is a trial as a process of the trace.
type traceTrial struct {
	pid   int
	first int64       // ktime of the first put
	lanes []traceLane // by when they get free
}

// traceLane is a thread of the trace, which is taken until a moment.
type traceLane struct {
	number int // from 1
	until  int64
}

type tracer struct {
	w      *bufio.Writer
	run    *results.Run
	trials map[trialKey]*traceTrial
	order  []trialKey
	comma  bool
	err    error
}

// maxTraceTrials bounds what a stranger's deaths can make of us.
const maxTraceTrials = 100_000

// survey finds when each trial begins.
func (t *tracer) survey(dir *results.Dir) error {
	return dir.Deaths(func(d *results.Death) error {
		k := trialKey{d.Scenario, d.Trial}
		tr := t.trials[k]
		if tr == nil {
			if len(t.trials) == maxTraceTrials {
				return fmt.Errorf("more than %d trials", maxTraceTrials)
			}
			tr = &traceTrial{pid: len(t.trials) + 1, first: d.PutNS}
			t.trials[k] = tr
			t.order = append(t.order, k)
		}
		tr.first = min(tr.first, d.PutNS)
		return nil
	})
}

// traceEvent is one event of the format. Dur is written for slices only.
type traceEvent struct {
	Name string      `json:"name"`
	Cat  string      `json:"cat,omitempty"`
	Ph   string      `json:"ph"`
	Ts   json.Number `json:"ts,omitempty"`
	Dur  json.Number `json:"dur,omitempty"`
	Pid  int         `json:"pid"`
	Tid  int         `json:"tid"`
	Args any         `json:"args,omitempty"`
}

// micros prints nanoseconds as microseconds, exactly.
func micros(ns int64) json.Number {
	return json.Number(strconv.FormatInt(ns/1000, 10) + fmt.Sprintf(".%03d", ns%1000))
}

func (t *tracer) event(e traceEvent) {
	data, err := json.Marshal(e)
	if err != nil && t.err == nil {
		t.err = err
	}
	if t.comma {
		t.w.WriteString(",\n")
	}
	t.comma = true
	if _, err := t.w.Write(data); err != nil && t.err == nil {
		t.err = err
	}
}

func (t *tracer) meta(name string, pid, tid int, args any) {
	t.event(traceEvent{Name: name, Ph: "M", Pid: pid, Tid: tid, Args: args})
}

type nameArg struct {
	Name string `json:"name"`
}

type sortArg struct {
	Index int `json:"sort_index"`
}

func (t *tracer) begin() {
	t.w.WriteString(`{"displayTimeUnit":"ns","traceEvents":[` + "\n")
	for _, k := range t.order {
		tr := t.trials[k]
		t.meta("process_name", tr.pid, 0, nameArg{fmt.Sprintf("%s trial %d", safetext.Name(k.scenario), k.trial)})
		t.meta("process_sort_index", tr.pid, 0, sortArg{tr.pid})
		t.counters(k, tr)
	}
}

type limboArg struct {
	Maps uint64 `json:"maps"`
}

type bytesArg struct {
	Bytes uint64 `json:"bytes"`
}

// counters come from run.json: the timeline is what the deaths sum up to.
func (t *tracer) counters(k trialKey, tr *traceTrial) {
	s := t.run.Find(k.scenario)
	if s == nil {
		return
	}
	i := slices.IndexFunc(s.Trials, func(o results.Trial) bool { return o.Index == k.trial })
	if i < 0 {
		return
	}
	t.gracePeriods(&s.Trials[i], tr)
	for _, p := range s.Trials[i].Timeline {
		at := micros(max(0, p.AtNS))
		t.event(traceEvent{Name: "maps in limbo", Ph: "C", Ts: at, Pid: tr.pid, Args: limboArg{p.Maps}})
		t.event(traceEvent{Name: "bytes in limbo", Ph: "C", Ts: at, Pid: tr.pid, Args: bytesArg{p.Bytes}})
	}
}

// lane returns one that is free from start on, and takes it until end. Deaths
// come as they end, so of the free lanes the one that was used last is best.
func (tr *traceTrial) lane(start, end int64) (number int, fresh bool) {
	byUntil := func(l traceLane, at int64) int { return cmp.Compare(l.until, at) }
	i, _ := slices.BinarySearchFunc(tr.lanes, start+1, byUntil)
	if i == 0 {
		number, fresh = len(tr.lanes)+1, true
	} else {
		number = tr.lanes[i-1].number
		tr.lanes = slices.Delete(tr.lanes, i-1, i)
	}
	i, _ = slices.BinarySearchFunc(tr.lanes, end, byUntil)
	tr.lanes = slices.Insert(tr.lanes, i, traceLane{number, end})
	return number, fresh
}

type deathArgs struct {
	MapID    uint32 `json:"map_id"`
	MapType  string `json:"map_type,omitempty"`
	Outer    string `json:"outer,omitempty"`
	Path     string `json:"path,omitempty"`
	MemBytes uint64 `json:"mem_bytes"`
	CPUPut   int    `json:"cpu_put"`
	CPUFree  int    `json:"cpu_free"`
	Comm     string `json:"comm,omitempty"`
	Caller   string `json:"dropped_by,omitempty"`
	// Of a map in a recording: whose it was.
	OuterName string `json:"outer_name,omitempty"`
	Creator   string `json:"creator,omitempty"`
	Container string `json:"container,omitempty"`
	Cgroup    string `json:"cgroup,omitempty"`
	PinnedBy  string `json:"pinned_by,omitempty"`
}

func (t *tracer) death(d *results.Death) error {
	if t.err != nil {
		return t.err
	}
	tr := t.trials[trialKey{d.Scenario, d.Trial}]
	if tr == nil {
		return errors.New("the deaths changed while they were read")
	}
	phases, err := slicesOf(d)
	if err != nil {
		return err
	}
	lane, fresh := tr.lane(d.PutNS, d.FreedNS)
	if fresh {
		t.meta("thread_name", tr.pid, lane, nameArg{fmt.Sprintf("lane %d", lane)})
		t.meta("thread_sort_index", tr.pid, lane, sortArg{lane})
	}
	name := safetext.Name(d.MapName)
	if name == "" {
		name = "map"
	}
	t.event(traceEvent{Name: name + " #" + strconv.FormatUint(uint64(d.MapID), 10), Cat: results.PhaseLimbo, Ph: "X",
		Ts: micros(d.PutNS - tr.first), Dur: micros(d.FreedNS - d.PutNS), Pid: tr.pid, Tid: lane,
		Args: t.args(d)})
	for _, s := range phases {
		t.event(traceEvent{Name: s.phase, Cat: "phase", Ph: "X", Ts: micros(s.start - tr.first), Dur: micros(s.end - s.start), Pid: tr.pid, Tid: lane})
	}
	return t.err
}

func (t *tracer) args(d *results.Death) deathArgs {
	args := deathArgs{
		MapID: d.MapID, MapType: safetext.Name(d.MapType), Outer: safetext.Name(d.Outer), Path: safetext.Name(d.Path),
		MemBytes: d.MemBytes, CPUPut: d.CPUPut, CPUFree: d.CPUFree, Comm: safetext.Name(d.Comm), Caller: t.caller(d.Stack),
	}
	if o := d.Owner; o != nil {
		args.OuterName, args.Creator, args.Container = safetext.Name(o.OuterName), safetext.Name(o.CreatorName()), safetext.Name(o.Container)
		args.Cgroup, args.PinnedBy = safetext.Name(o.Cgroup), safetext.Name(strings.Join(o.PinnedBy, ", "))
	}
	return args
}

// caller is the innermost frame of who dropped the last reference that isn't
// the put itself.
func (t *tracer) caller(stack string) string {
	frames := t.run.Stacks[stack]
	switch len(frames) {
	case 0:
		return ""
	case 1:
		return safetext.Name(frames[0].Function)
	}
	return safetext.Name(frames[1].Function)
}

// phaseSlice is a phase of a death where it lies in time.
type phaseSlice struct {
	phase      string
	start, end int64
}

// slicesOf lays the phases that a death has one after the other, as
// Death.EachPhase counts them. Times that go backwards are an error.
func slicesOf(d *results.Death) ([]phaseSlice, error) {
	var out []phaseSlice
	at := d.PutNS
	for i, dur := range d.EachPhase {
		phase := results.PhaseAt(i)
		if phase.Kind != results.PartOfDeath {
			continue
		}
		if dur < 0 {
			return nil, fmt.Errorf("map %d in %s: phase %s ends %d ns before it begins", d.MapID, safetext.Name(d.Scenario), phase.Name, -dur)
		}
		out = append(out, phaseSlice{phase.Name, at, at + dur})
		at += dur
	}
	if at != d.FreedNS {
		return nil, fmt.Errorf("map %d in %s: its phases end %d ns before it is freed", d.MapID, safetext.Name(d.Scenario), d.FreedNS-at)
	}
	return out, nil
}

type traceInfo struct {
	Tool    string   `json:"tool"`
	Kernels []string `json:"kernels"`
	Loss    string   `json:"loss"`
	Time    string   `json:"time"`
}

func (t *tracer) end() {
	info := traceInfo{Tool: safetext.Text(t.run.Tool.Name + " " + t.run.Tool.Version), Loss: safetext.Text(results.LossText(t.run.Loss)),
		Time: "nanoseconds of the target's ktime since the trial's first put, as microseconds"}
	for _, target := range t.run.Targets {
		info.Kernels = append(info.Kernels, safetext.Name(target.Kernel.Release))
	}
	data, err := json.Marshal(info)
	if err != nil && t.err == nil {
		t.err = err
	}
	t.w.WriteString("\n],\n" + `"otherData":`)
	t.w.Write(data)
	t.w.WriteString("}\n")
}
