// SPDX-License-Identifier: Apache-2.0

package workloads

import "github.com/cilium/ebpf"

// Tracer times, in the kernel, the calls of the function that looks a map up.
type Tracer interface {
	// Time runs f and keeps how long each call of function for m took
	// while the probe was attached, under name. It is when f begins. f
	// returns how many calls it has caused with it. Where the function can't
	// be timed, f does not run. Of sample calls one is timed, on average.
	Time(name, function string, m *ebpf.Map, sample uint64, f func(Probe) (calls uint64, err error)) error
	// Calls runs f and returns, under each name, the calls of a function
	// meanwhile, by any thread: of the first one in its list that this kernel
	// has. Where none can be timed, there are none, and a warning.
	Calls(functions map[string][]string, f func() error) (map[string]Calls, error)
	// PageTime runs f and returns how long this thread was in a function that
	// prepares pages, in what f has watched. That function is the first in the
	// list that is seen to prepare all pages that try makes the kernel
	// allocate; try returns how many these are, and f how many it needs. Where
	// there is none, it is by samples of where the thread was in f.
	PageTime(functions []PageFunction, try func() (pages uint64, err error), f func(watch Watch) (pages uint64, err error)) (PageTime, error)
}

// Calls are calls of a function of the kernel, fentry to fexit.
type Calls struct {
	Function string
	List     []Call
	Unseen   uint64 // how many more ended
}

// Around is the call since then in which something happened. Of several, on several
// threads, it is the one that began last: they differ by less than it took until then.
func (c Calls) Around(ns, since int64) (around Call, found bool) {
	for _, call := range c.List {
		if call.BeginNS >= since && call.BeginNS <= ns && ns <= call.EndNS && (!found || call.BeginNS > around.BeginNS) {
			around, found = call, true
		}
	}
	return around, found
}

// Call is one of them, by CLOCK_MONOTONIC.
type Call struct {
	TID            int
	BeginNS, EndNS int64
}

// Watch runs f while a tracer watches this thread.
type Watch func(f func() error) error

// Probe is a pair of programs that can be away for a while; what they counted
// stays. No call that it times may be under way then. Neither method does
// anything where it has been done.
type Probe interface {
	Detach() error
	Attach() error
}

// PageFunction is a function of the kernel that prepares pages. Its second
// argument is their number, or the logarithm of that.
type PageFunction struct {
	Name    string
	ByOrder bool
	// Sampled says that it is in assembly, which no probe sees: all of
	// these that samples find count.
	Sampled bool
}

// PageTime is how long a thread was in a function that prepares pages.
type PageTime struct {
	Share float64 // of f, where it is by samples; else 0
	NS    float64 // where it is by calls
	How   string
	// Why says why neither can be had; then the rest is empty.
	Why string
}
