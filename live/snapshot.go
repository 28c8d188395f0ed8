// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"time"

	"github.com/mapprof/mapprof/results"
)

// Snapshot is what there is at one moment. Its names are fit to be shown.
type Snapshot struct {
	Time       time.Time `json:"time"`
	ElapsedNS  int64     `json:"elapsed_ns"`  // since the watching began
	IntervalNS int64     `json:"interval_ns"` // since the snapshot before
	WindowNS   int64     `json:"window_ns"`   // that phases and limbo times are of

	Deaths          uint64  `json:"deaths"`          // since the watching began
	IntervalDeaths  uint64  `json:"interval_deaths"` // of this interval
	DeathsPerSecond float64 `json:"deaths_per_s"`

	LimboMaps  uint64   `json:"limbo_maps"` // now
	LimboBytes uint64   `json:"limbo_bytes"`
	Oldest     *Pending `json:"oldest,omitempty"`

	// Phases are of the deaths of the window, limbo included. One that no death had is
	// not there.
	Phases map[string]results.Stats `json:"phases"`

	// Owners are at most MaxOwners; Others are all that have no entry.
	Owners []Owner `json:"owners"`
	Others *Owner  `json:"others,omitempty"`

	// Lost are deaths that were put and will never be told of. Loss has every kind of
	// loss that happened, those that leave the deaths whole among them.
	Lost     uint64            `json:"lost"`
	Loss     map[string]uint64 `json:"loss"`
	Excluded map[string]uint64 `json:"excluded"`

	// Final says that nothing is watched any more.
	Final bool `json:"final,omitempty"`
}

// Pending is a death that is under way.
type Pending struct {
	AgeNS    int64  `json:"age_ns"` // since the last put
	Phase    string `json:"phase"`  // that it is in
	MapName  string `json:"map_name"`
	MapType  string `json:"map_type"`
	MemBytes uint64 `json:"mem_bytes"`
	Creator  string `json:"creator,omitempty"`
	Outer    string `json:"outer,omitempty"`
}

// Owner is whose maps died, by which path, and what that held.
type Owner struct {
	Outer     string   `json:"outer,omitempty"` // its type
	OuterID   uint32   `json:"outer_id,omitempty"`
	OuterName string   `json:"outer_name,omitempty"`
	Creator   string   `json:"creator,omitempty"`
	Comm      string   `json:"comm,omitempty"` // who dropped the last reference, where the creator is not known
	Cgroup    string   `json:"cgroup,omitempty"`
	Container string   `json:"container,omitempty"`
	Path      string   `json:"path,omitempty"`
	PinnedBy  []string `json:"pinned_by,omitempty"`

	Deaths          uint64  `json:"deaths"` // since the watching began
	DeathsPerSecond float64 `json:"deaths_per_s"`
	LimboMaps       uint64  `json:"limbo_maps"` // now
	LimboBytes      uint64  `json:"limbo_bytes"`
	OldestNS        int64   `json:"oldest_ns,omitempty"` // of those in limbo now
	// Limbo is of the last deaths in the window, OwnerSamples at most.
	Limbo results.Stats `json:"limbo"`

	// Phases are of the deaths that Limbo is of; Stack is who dropped the last
	// reference of the latest of them, innermost first.
	Phases map[string]results.Stats `json:"-"`
	Stack  []string                 `json:"-"`
}

// Limits say how often to tell, and how long.
type Limits struct {
	Interval time.Duration
	Count    int           // intervals; 0: no limit
	Duration time.Duration // 0: no limit
	// Drain is how long to wait at the end for deaths under way.
	Drain time.Duration
}

// Source is what is watched.
type Source interface {
	// Watch tells what there is, interval by interval, until a limit is reached or ctx
	// has ended, which is no error. The last snapshot is Final.
	Watch(ctx context.Context, l Limits, each func(*Snapshot) error) error
	// Warnings are of what can't be seen.
	Warnings() []string
}

// Options say how to show it.
type Options struct {
	Plain bool // lines, on a terminal too
	JSON  bool
	Limits
}
