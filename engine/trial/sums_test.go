// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
)

// deathEvents are raw events of maps that die every microsecond, one after the
// other, by way of RCU.
type deathEvents struct {
	event probes.DeathEvent
	n     uint64
}

func newDeathEvents() *deathEvents {
	e := &deathEvents{event: probes.DeathEvent{
		Kind: probes.KindDeath, MapType: results.MapTypeArray, KeySize: 4, ValueSize: 8, MaxEntries: 16,
		StageKind: [2]uint32{probes.StageKindRCU}, StackId: 5,
	}}
	copy(e.event.MapName[:], []int8{'m', 'p', 'c', '_', '1', 'f'})
	copy(e.event.Comm[:], []int8{'m', 'a', 'p', 'p'})
	return e
}

func (e *deathEvents) next() *probes.DeathEvent {
	e.n++
	put := 1e9 + e.n*1000
	d := &e.event
	d.MapId, d.PutNs, d.EnqueueNs[0], d.EndNs[0] = uint32(e.n), put, put+300+e.n%100, put+8e6+e.n%4096
	d.FreeNs, d.FreedNs = d.EndNs[0]+10e3+e.n%512, d.EndNs[0]+14e3+e.n%512
	return d
}

// streamed decodes, counts and forgets, as the collector's goroutine does.
func streamed(tb testing.TB, file *deathsFile) (take func(), s *sums) {
	tb.Helper()
	j := &Job{Scenario: "churn/6.12/rcu", Strategy: results.StrategyRCU}
	m := &Measurement{Job: j, sums: newSums(j, map[string]string{"outer": "array-of-maps"})}
	sink := newSink(m, file)
	replay := collect.NewReplay(sink)
	events := newDeathEvents()
	return func() {
		e := events.next()
		if err := replay.Take(e); err != nil {
			tb.Fatal(err)
		}
		if events.n%collect.SweepEvery == 0 {
			if err := sink.Sweep(&collect.Outcome{AtNS: int64(e.PutNs)}); err != nil {
				tb.Fatal(err)
			}
		}
	}, m.sums
}

func TestDeathsAllocateNothing(t *testing.T) {
	const n = 1 << 18
	for name, file := range map[string]*deathsFile{"counted": {}, "counted and written": written(t)} {
		take, s := streamed(t, file)
		for range n { // the buffers grow to their size
			take()
		}
		if allocs := testing.AllocsPerRun(n, take); allocs != 0 {
			t.Errorf("%s: %v allocations for a death", name, allocs)
		}
		dists, err := s.distributions()
		if err != nil {
			t.Fatal(err)
		}
		limbo, line := s.limbo.Clone().FinishAt(0, nil)
		if got := dists[results.PhaseLimbo].Stats().N; got != 2*n+1 || s.profile.N() != 2*n+1 || limbo.PeakMaps < 8000 || limbo.PeakMaps > 8100 || len(line) < 128 {
			t.Errorf("%s: %d deaths, %d in the profile, %+v, a timeline of %d", name, got, s.profile.N(), limbo, len(line))
		}
	}
}

// written is a deaths file that goes nowhere.
func written(tb testing.TB) *deathsFile {
	tb.Helper()
	f := &deathsFile{uplink: discard{}, keep: true}
	if err := f.begin(); err != nil {
		tb.Fatal(err)
	}
	return f
}

func BenchmarkDeaths(b *testing.B) {
	for _, c := range []struct {
		name string
		file *deathsFile
	}{{"counted", &deathsFile{}}, {"counted and written", written(b)}} {
		b.Run(c.name, func(b *testing.B) {
			take, _ := streamed(b, c.file)
			for range 2 * collect.SweepEvery {
				take()
			}
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime(b)
			for range b.N {
				take()
			}
			// By the time on CPUs: others may have them meanwhile.
			b.ReportMetric(float64(b.N)/(cpuTime(b)-before).Seconds(), "deaths/CPU-s")
		})
	}
}

// cpuTime is what this process has used of CPUs, the garbage collector's too.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
