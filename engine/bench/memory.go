// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/results"
)

// memory is the benchmark: what runs of more and more deaths take of memory, in the
// guest and on the host. It must not grow with them.
type memory struct {
	strategy string
	counts   []uint
	noDeaths bool
}

// flat is how much more the run that takes most may take than the one that takes
// least.
const flat = 1.2

// AddFlags implements Benchmark.
func (m *memory) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&m.strategy, "strategy", results.StrategyImmediate, "strategy of churn")
	fs.UintSliceVar(&m.counts, "count", []uint{10_000, 100_000, 1_000_000}, "operations, each one death")
	fs.BoolVar(&m.noDeaths, "no-deaths", false, "as that of mapprof run")
}

// Check implements Benchmark.
func (m *memory) Check() error {
	if len(m.counts) == 0 {
		return errors.New("--count names none")
	}
	for _, n := range m.counts {
		switch {
		case n == 0:
			return errors.New("--count must be at least 1")
		case n > mostDeaths && !m.noDeaths:
			return fmt.Errorf("--count must be at most %d, not %d, unless --no-deaths is given", mostDeaths, n)
		}
	}
	return nil
}

// mostDeaths is how many single deaths a guest may send.
const mostDeaths = 1 << 24

// memoryTaken is of one run.
type memoryTaken struct {
	deaths    uint64
	took      time.Duration // of the measured part
	medianNS  int64         // of an operation
	guestLeft uint64        // bytes, at least
	hostPeak  uint64        // of mapprof, without QEMU
	fileBytes int64         // of the single deaths
}

// Run implements Benchmark.
func (m *memory) Run(ctx context.Context, on Machines) (string, error) {
	var text strings.Builder
	text.WriteString("# What a number of deaths takes of memory")
	option := ""
	if m.noDeaths {
		option = " --no-deaths"
		text.WriteString(" where they are not kept")
	}
	text.WriteString("\n\n")
	var wrong []error
	for _, kernel := range on.Kernels {
		fmt.Fprintf(&text, "`mapprof run --strategy %s%s` on %s: the least MemAvailable in a guest of %d MiB, the peak resident memory of mapprof on the host (QEMU aside), and the single deaths in the run.\n\n",
			m.strategy, option, kernel, on.Machine.MemoryBytes>>20)
		text.WriteString("| deaths | deaths/s | guest's MemAvailable | host's mapprof | deaths.jsonl.zst |\n|---:|---:|---:|---:|---:|\n")
		var all []memoryTaken
		for _, count := range m.counts {
			t, err := m.one(ctx, &on, kernel, count)
			if err != nil {
				return text.String(), err
			}
			all = append(all, t)
			fmt.Fprintf(&text, "| %d | %.0f | %d MiB | %d MiB | %.1f MiB |\n",
				t.deaths, float64(t.deaths)/t.took.Seconds(), t.guestLeft>>20, t.hostPeak>>20, float64(t.fileBytes)/(1<<20))
		}
		wrong = append(wrong, checkFlat(kernel, all))
		text.WriteByte('\n')
	}
	return text.String(), errors.Join(wrong...)
}

// checkFlat says what is not flat.
func checkFlat(kernel string, all []memoryTaken) error {
	var wrong []error
	for _, of := range []struct {
		name  string
		bytes func(*memoryTaken) uint64
	}{
		{"the guest's MemAvailable", func(t *memoryTaken) uint64 { return t.guestLeft }},
		{"mapprof's memory on the host", func(t *memoryTaken) uint64 { return t.hostPeak }},
	} {
		least, most := of.bytes(&all[0]), of.bytes(&all[0])
		for i := range all {
			least, most = min(least, of.bytes(&all[i])), max(most, of.bytes(&all[i]))
		}
		if float64(most) > flat*float64(least) {
			wrong = append(wrong, fmt.Errorf("%s: %s is from %d MiB to %d MiB, not within %.0f %%", kernel, of.name, least>>20, most>>20, (flat-1)*100))
		}
	}
	return errors.Join(wrong...)
}

// one does one run as a process of its own.
func (m *memory) one(ctx context.Context, on *Machines, kernel string, count uint) (t memoryTaken, err error) {
	self, err := os.Executable()
	if err != nil {
		return t, err
	}
	tmp, err := os.MkdirTemp("", "mapprof-bench-")
	if err != nil {
		return t, err
	}
	defer os.RemoveAll(tmp)
	dir := filepath.Join(tmp, "run")
	args := []string{"run", "--kernel", kernel, "--strategy", m.strategy, "--count", strconv.FormatUint(uint64(count), 10),
		"--timeout", on.Machine.Timeout.String(), "--memory", fmt.Sprintf("%dMiB", on.Machine.MemoryBytes>>20), "-o", dir}
	if on.Machine.Clock != "" {
		args = append(args, "--clock", on.Machine.Clock)
	}
	if on.Offline {
		args = append(args, "--offline")
	}
	if m.noDeaths {
		args = append(args, "--no-deaths")
	}
	fmt.Fprintf(on.Stderr, "%s: %d operations\n", kernel, count)
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	t.hostPeak, err = runForPeak(cmd)
	if err != nil {
		return t, fmt.Errorf("mapprof run: %w\n%s", err, out.Bytes())
	}
	d, err := results.Open(dir)
	if err != nil {
		return t, err
	}
	tr := &d.Run.Scenarios[0].Trials[0]
	if tr.Freed != uint64(count) || tr.Lost != 0 {
		return t, fmt.Errorf("mapprof run: %d of %d deaths, %d lost", tr.Freed, count, tr.Lost)
	}
	t.deaths, t.took, t.guestLeft = tr.Freed, time.Duration(tr.DurationNS), tr.MemAvailableMinBytes
	t.medianNS = tr.Phases[results.PhaseOp].P50NS
	t.fileBytes = d.Run.Files[results.DeathsFile].Bytes
	return t, nil
}

// runForPeak runs a command and returns how large its process has been at most, in
// bytes.
func runForPeak(cmd *exec.Cmd) (peak uint64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(5 * time.Millisecond) // what comes last is the most
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return peak, err
		case <-tick.C:
			peak = max(peak, residentPeak(cmd.Process.Pid))
		}
	}
}

// residentPeak is the most that a process has had in memory in bytes; 0: it is not
// there.
func residentPeak(pid int) uint64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("\nVmHWM:"))
	f := bytes.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	kb, err := strconv.ParseUint(string(f[0]), 10, 54)
	if err != nil {
		return 0
	}
	return kb << 10
}
