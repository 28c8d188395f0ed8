// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/guest"
	"github.com/mapprof/mapprof/target/wire"
)

func init() { programs["made-up-guest"] = madeUpGuest }

const madeUpRelease = "6.99.0-test"

// madeUpGuest stands in QEMU's place: it sends what a guest sends whose maps die as
// often as its argument says, in parts with a commit after each.
func madeUpGuest() {
	if err := sendMadeUp(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func sendMadeUp(number string) error {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "made-up-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	port := &madeUpPort{w: os.NewFile(4, "channel"), hash: sha256.New()}
	began := time.Now()
	port.send(wire.FrameHello, []byte(`{"release":"`+madeUpRelease+`","version":"#1"}`))
	port.send(wire.FrameStarted)
	if err := (&madeUpTrial{port: port, tally: analyze.NewTally(), profile: profile.NewBuilder()}).run(n, dir); err != nil {
		return err
	}
	port.send(wire.FrameEvent, []byte{byte(len(guest.EventReply))}, []byte(guest.EventReply), []byte("{}"))
	port.send(wire.FrameDone, fmt.Appendf(nil, `{"clock_ns":%d}`, time.Since(began)))
	if port.err != nil {
		return port.err
	}
	// The monitor: it is told to quit.
	_, err = io.Copy(io.Discard, &untilQuit{r: os.NewFile(5, "monitor")})
	return err
}

// untilQuit ends where it read that QEMU is to quit.
type untilQuit struct {
	r    io.Reader
	last []byte
}

func (u *untilQuit) Read(p []byte) (int, error) {
	if bytes.Contains(u.last, []byte(`"quit"`)) {
		return 0, io.EOF
	}
	n, err := u.r.Read(p)
	u.last = append(u.last, p[:n]...)
	return n, err
}

// madeUpPort is the serial port of a guest, and the part of a file that is written.
type madeUpPort struct {
	w    io.Writer
	seq  uint32
	err  error
	hash hash.Hash
	size uint64
}

func (p *madeUpPort) send(t wire.FrameType, payload ...[]byte) {
	frame, err := wire.AppendFrame(nil, t, p.seq, payload...)
	p.seq++
	if err == nil && p.err == nil {
		_, err = p.w.Write(frame)
	}
	p.err = errors.Join(p.err, err)
}

func (p *madeUpPort) begin(t wire.FrameType, name string) {
	p.hash.Reset()
	p.size = 0
	p.send(t, []byte(name))
}

// Write implements io.Writer for the file that was begun.
func (p *madeUpPort) Write(b []byte) (int, error) {
	p.hash.Write(b)
	p.size += uint64(len(b))
	for chunk := range slices.Chunk(b, wire.MaxPayload) {
		p.send(wire.FrameFileData, chunk)
	}
	return len(b), p.err
}

func (p *madeUpPort) end() {
	p.send(wire.FrameFileEnd, p.hash.Sum(binary.LittleEndian.AppendUint64(nil, p.size)))
}

// madeUpTrial is a trial of churn whose maps are freed at once.
type madeUpTrial struct {
	port    *madeUpPort
	lines   *results.DeathsWriter
	tally   *analyze.Tally
	limbo   analyze.LimboMeter
	profile *profile.Builder
	deaths  uint64
}

// deathsPerCommit is how many deaths there are between two commits: what a guest under
// TCG has in five seconds.
const deathsPerCommit = 50_000

func (m *madeUpTrial) run(n uint64, dir string) (err error) {
	d := results.Death{Scenario: "churn/" + madeUpRelease + "/immediate", Path: results.StrategyImmediate,
		MapType: "Array", MapName: "mp_inner", KeySize: 4, ValueSize: 8, MaxEntries: 16, MemBytes: 392, Comm: "mapprof", Stack: "5"}
	for m.deaths < n {
		m.port.begin(wire.FrameFilePart, results.DeathsFile)
		if m.lines == nil {
			m.lines, err = results.NewDeathsWriter(m.port)
		} else {
			m.lines.Reset(m.port)
		}
		if err != nil {
			return err
		}
		for range min(deathsPerCommit, n-m.deaths) {
			m.deaths++
			at := int64(1e9 + m.deaths*100_000)
			d.MapID, d.PutNS, d.FreeNS, d.FreedNS = uint32(m.deaths), at, at+30e3+at/7%5000, at+40e3+at/11%9000
			m.limbo.Death(&d)
			if err := errors.Join(m.tally.Add(&d), m.profile.Add(&d), m.lines.Death(&d)); err != nil {
				return err
			}
		}
		m.limbo.Advance(d.PutNS, nil)
		if err := m.lines.Close(); err != nil {
			return err
		}
		m.port.end()
		if err := m.sendRun(filepath.Join(dir, strconv.FormatUint(m.deaths, 10)), m.deaths < n); err != nil {
			return err
		}
	}
	return nil
}

// sendRun sends what the trial has given so far.
func (m *madeUpTrial) sendRun(dir string, commit bool) error {
	w, err := results.Create(dir)
	if err != nil {
		return err
	}
	defer w.Abort()
	w.List(results.DeathsFile, m.lines.File())
	id, began, phases := "churn/"+madeUpRelease+"/immediate", time.Unix(1, 0), map[string]results.Stats{}
	for name, d := range m.tally.Distributions() {
		phases[name] = d.Stats()
		if err := w.Histogram(results.Tag(id, 0, name), d.Histogram, began, began); err != nil {
			return err
		}
	}
	paths := map[string]uint64{results.StrategyImmediate: m.deaths}
	limbo, timeline := m.limbo.Clone().Finish()
	trial := results.Trial{Started: began, Puts: m.deaths, Freed: m.deaths, Expected: m.deaths, Ops: m.deaths, DurationNS: m.deaths * 100_000,
		Phases: phases, Limbo: limbo, Timeline: timeline, Paths: paths, Loss: map[string]uint64{}}
	target := results.Target{Kind: "local", Accel: "none", Clock: results.ClockWall, CPUs: 2, Kernel: results.Kernel{Release: madeUpRelease}}
	run := &results.Run{Started: began, Ended: began, Target: target, Targets: []results.Target{target}, Scenarios: []results.Scenario{{
		ID: id, Workload: "churn", Params: map[string]string{}, Loop: "closed", Kernel: madeUpRelease,
		Strategy: results.Strategy{Requested: results.StrategyImmediate, Observed: results.StrategyImmediate, Paths: paths},
		Phases:   phases, Limbo: limbo, Trials: []results.Trial{trial}, Loss: map[string]uint64{}}}}
	p, err := m.profile.Build(nil, profile.MetaOf(run))
	if err != nil {
		return err
	}
	var gz bytes.Buffer
	if err := errors.Join(profile.Write(&gz, p), w.Profile(gz.Bytes()), w.Finish(run)); err != nil {
		return err
	}
	for _, name := range results.Files() {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		m.port.begin(wire.FrameFileBegin, name)
		if _, err := m.port.Write(data); err != nil {
			return err
		}
		m.port.end()
	}
	if commit {
		m.port.send(wire.FrameCommit)
	}
	return m.port.err
}

// hostMemory has mapprof take a made-up run of n deaths, as a process of its own,
// and returns the most that it had in memory, in bytes.
func hostMemory(t *testing.T, n int) uint64 {
	t.Helper()
	dir := t.TempDir()
	guestProgram, err := exec.LookPath("made-up-guest")
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\ncase \"$1\" in --version) echo 'QEMU emulator version 0.0 (made up)'; exit 0;; -sandbox) exit 0;; esac\nexec %s %d\n", guestProgram, n)
	for file, data := range map[string]string{"qemu": script, "bzImage": string(fakeBzImage(madeUpRelease))} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(data), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "mapprof", "run", "--kernel", filepath.Join(dir, "bzImage"), "--accel", "tcg",
		"--strategy", "immediate", "--count", strconv.Itoa(n), "--timeout", "60m", "-o", filepath.Join(dir, "run"))
	cmd.Env = append(os.Environ(), "MAPPROF_QEMU="+filepath.Join(dir, "qemu"))
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var peak uint64
	for running := true; running; {
		select {
		case err := <-ended:
			if running = false; err != nil {
				t.Fatalf("%v\n%s", err, out.Bytes())
			}
		case <-time.After(2 * time.Millisecond):
			peak = max(peak, residentPeak(cmd.Process.Pid))
		}
	}
	d, err := results.Open(filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	if limbo := d.Run.Scenarios[0].Phases[results.PhaseLimbo]; limbo.N != uint64(n) || d.Run.Files[results.DeathsFile].Count != uint64(n) {
		t.Errorf("of %d deaths %d are kept, %+v", n, d.Run.Files[results.DeathsFile].Count, limbo)
	}
	return peak
}

// residentPeak is the most that a process has had in memory in bytes; 0: it is not
// there.
func residentPeak(pid int) uint64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "\nVmHWM:")
	var kb uint64
	_, _ = fmt.Sscan(rest, &kb)
	return kb << 10
}

// flatOver holds what mapprof takes of memory for runs of so many deaths against
// the least that it takes for one of them.
func flatOver(t *testing.T, counts ...int) {
	t.Helper()
	var least, most uint64
	for _, n := range counts {
		began := time.Now()
		peak := hostMemory(t, n)
		t.Logf("%d deaths: %.1f MiB, in %.1f s", n, float64(peak)/(1<<20), time.Since(began).Seconds())
		if most = max(most, peak); least == 0 || peak < least {
			least = peak
		}
	}
	if least == 0 || float64(most) > 1.1*float64(least) {
		t.Errorf("from %d to %d KiB", least>>10, most>>10)
	}
}

// TestVMHostMemory: what mapprof takes of memory on the host doesn't grow with the
// number of deaths. The guest is made up, all that takes what it sends is not.
func TestVMHostMemory(t *testing.T) {
	t.Parallel()
	flatOver(t, 10_000, 100_000, 1_000_000)
}
