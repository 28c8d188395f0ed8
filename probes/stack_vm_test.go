// SPDX-License-Identifier: Apache-2.0

//go:build vm && amd64

package probes

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads"
	_ "github.com/mapprof/mapprof/workloads/all" // to run churn
)

const (
	stacksTask  = "stacks"
	innerPrefix = "mp_inner"
	// churnEnv has this program churn by that strategy, as another process whose maps
	// are watched.
	churnEnv = "MAPPROF_TEST_CHURN"
)

func TestMain(m *testing.M) {
	if strategy := os.Getenv(churnEnv); strategy != "" {
		if err := churn(context.Background(), strategy); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	vmtest.Main(m, task.Handlers{stacksTask: task.Handle(findStacks)})
}

func churn(ctx context.Context, strategy string) error {
	count := "20"
	if strategy == results.StrategyImmediate {
		count = "500"
	}
	w, _, err := workloads.New("churn", map[string]string{"count": count, "slots": "4"})
	if err != nil {
		return err
	}
	instance, err := w.Setup(ctx, strategy)
	if err != nil {
		return err
	}
	_, err = instance.Run(ctx, func(uint64, uint64) {})
	return errors.Join(err, instance.Close())
}

// stacksFound are deaths by the addresses of their stacks.
type stacksFound struct {
	Unwound  map[string]int // with every stack unwound
	Found    map[string]int // as by default
	Recorded map[string]int // as in a recording
	Guesses  bool           // in both of these some were found without unwinding them
	Loss     [2]string      // in both
	// Mistaken are those after all that was known of stacks had been made wrong, of
	// which WrongGuesses were counted.
	Mistaken     map[string]int
	WrongGuesses uint64
	// Unseated are the deaths where others had every seat and every desk.
	Unseated map[string]int
	// Left are the seats that are taken when all has ended, of both, and the deaths and
	// the workers that are in the hashes.
	Left [2]int
	Hash [2]uint64
	// Refused says why a program was not attached as the first mechanism has it.
	Refused []string
}

// findStacks churns by all strategies, and finds the stacks in each way.
func findStacks(ctx context.Context, env *task.Env, strategies []string) (r stacksFound, err error) {
	r.Guesses = true
	watch := func(cfg Config, into *map[string]int) (p *Probes, loss string) {
		if err != nil {
			return nil, ""
		}
		var attachments []Attachment
		if p, attachments, err = Attach(cfg); err != nil {
			return nil, ""
		}
		for _, a := range attachments {
			if a.Refused != nil {
				r.Refused = append(r.Refused, fmt.Sprint(a.Function, ": ", a.Refused))
			}
		}
		env.KeepAlive(p) // to detach takes longer than all else
		if *into, err = p.stacksOf(ctx, strategies); err != nil {
			return nil, ""
		}
		var checks uint64
		if err = p.coll.Variables[lifecycleVarChecks].Get(&checks); err != nil {
			return nil, ""
		}
		r.Guesses = r.Guesses && (checks != 0 || cfg.UnwindAlways)
		var c Counters
		c, err = p.Counters()
		return p, results.LossText(c.Missed)
	}
	watch(Config{WatchPrefix: innerPrefix, UnwindAlways: true}, &r.Unwound)
	_, r.Loss[0] = watch(Config{Owners: &Owners{}}, &r.Recorded)
	p, loss := watch(Config{WatchPrefix: innerPrefix}, &r.Found)
	r.Loss[1] = loss
	if err != nil {
		return r, err
	}
	if r.Left[0], err = p.takeSeats(false); err != nil {
		return r, err
	}
	if _, err = p.takeSeats(true); err != nil {
		return r, err
	}
	if r.Unseated, err = p.stacksOf(ctx, strategies); err != nil {
		return r, err
	}
	if r.Left[1], err = p.takeSeats(false); err != nil {
		return r, err
	}
	for i, name := range []string{lifecycleVarUnseated, lifecycleVarUndesked} {
		if err := p.coll.Variables[name].Get(&r.Hash[i]); err != nil {
			return r, err
		}
	}
	if err := p.mistakeStacks(); err != nil {
		return r, err
	}
	if r.Mistaken, err = p.stacksOf(ctx, strategies[:1]); err != nil {
		return r, err
	}
	c, err := p.Counters()
	r.WrongGuesses = c.Missed["stack_guess"]
	return r, err
}

// takeSeats has every seat and every desk taken by another, or leaves them all. It returns
// how many seats were taken.
func (p *Probes) takeSeats(take bool) (taken int, err error) {
	for i := range seats {
		var s lifecycleSeat
		if err := readVariable(p, p.seatsAt, i, &s); err != nil {
			return 0, err
		}
		if s.Claims != 0 {
			taken++
		}
		if err := p.claim(p.seatsAt+int64(i)*int64(unsafe.Sizeof(s))+int64(unsafe.Offsetof(s.Claims)), take); err != nil {
			return 0, err
		}
	}
	for i := range desks {
		var d lifecycleFreeing
		at := p.desksAt + int64(i)*int64(unsafe.Sizeof(d))
		if err := errors.Join(p.claim(at+int64(unsafe.Offsetof(d.Claims)), take), p.claim(at+int64(unsafe.Offsetof(d.Tid)), false)); err != nil {
			return 0, err
		}
	}
	return taken, nil
}

// claim writes a word of the programs' variables.
func (p *Probes) claim(at int64, taken bool) error {
	mem, err := p.coll.Maps[".bss"].Memory()
	if err != nil {
		return err
	}
	word := make([]byte, 4)
	if taken {
		word[0] = 1
	}
	_, err = mem.WriteAt(word, at)
	return err
}

// mistakeStacks makes every id that is known another.
func (p *Probes) mistakeStacks() error {
	var known [4096]uint64
	v := p.coll.Variables[lifecycleVarKnownStacks]
	if err := v.Get(&known); err != nil {
		return err
	}
	for i := range known {
		if known[i] != 0 {
			known[i] ^= 1
		}
	}
	return v.Set(known)
}

// stacksOf churns and returns the deaths by their stacks, without the tracer's frames.
func (p *Probes) stacksOf(ctx context.Context, strategies []string) (map[string]int, error) {
	reader, err := p.Reader()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	if err := p.Start(); err != nil {
		return nil, err
	}
	for _, strategy := range strategies {
		cmd := exec.CommandContext(ctx, "/proc/self/exe")
		// A signal that preempts a goroutine would make another way to the same put.
		cmd.Env = append(os.Environ(), churnEnv+"="+strategy, "GODEBUG=asyncpreemptoff=1")
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("churn --strategy %s: %w: %s", strategy, err, text)
		}
	}
	if err := p.Stop(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		pending, err := p.InFlight()
		if err != nil {
			return nil, err
		}
		if len(pending) == 0 {
			break
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%d deaths are pending", len(pending))
		}
	}
	return p.readStacks(reader)
}

func (p *Probes) readStacks(reader *ringbuf.Reader) (map[string]int, error) {
	found := map[string]int{}
	reader.SetDeadline(time.Now())
	for {
		rec, err := reader.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if binary.NativeEndian.Uint32(rec.RawSample) != KindDeath {
			continue
		}
		var e DeathEvent
		if _, err := binary.Decode(rec.RawSample, binary.NativeEndian, &e); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(string(rec.RawSample[unsafe.Offsetof(e.MapName):]), innerPrefix) {
			continue // of another program
		}
		if e.StackId < 0 {
			found[fmt.Sprintf("errno %d", -e.StackId)]++
			continue
		}
		addrs, err := p.Stack(uint32(e.StackId))
		if err != nil { // as after a wrong guess
			found[err.Error()]++
			continue
		}
		found[fmt.Sprintf("%x", addrs)]++
	}
}

// alike leaves the tracer's two innermost frames out, and the addresses of trampolines
// among the others, which each attaching makes anew.
func alike(stacks map[string]int, tracer int) map[string]int {
	out := map[string]int{}
	for stack, n := range stacks {
		if frames := strings.Fields(strings.Trim(stack, "[]")); len(frames) > tracer && stack[0] == '[' {
			frames = frames[tracer:]
			for i := range frames {
				if frames[i] >= "ffffffffc0000000" {
					frames[i] = "loaded"
				}
			}
			stack = strings.Join(frames, " ")
		}
		out[stack] += n
	}
	return out
}

// TestVMStacksOnEveryKernel: stacks that are found by a part of them are those that
// unwinding finds, and a wrong guess is found out.
func TestVMStacksOnEveryKernel(t *testing.T) {
	for _, kernel := range vmtest.Kernels() {
		t.Run(kernel, func(t *testing.T) {
			strategies := []string{results.StrategyImmediate, results.StrategyRCU}
			if kernel != "5.10" { // it has no sleepable program that can hold an outer map
				strategies = append(strategies, results.StrategyTasksTrace)
			}
			vm := vmtest.VM(t, kernel, func(m *target.Machine) { m.Clock = results.ClockICount })
			r := vmtest.Call[stacksFound](t, vm, stacksTask, strategies)
			want := alike(r.Unwound, 2)
			for what, stacks := range map[string]map[string]int{"found": r.Found, "recorded": r.Recorded, "unseated": r.Unseated} {
				if got := alike(stacks, 0); !maps.Equal(got, want) || len(want) < 2 {
					t.Errorf("%s:\n%v, unwound:\n%v", what, got, want)
				}
			}
			if !r.Guesses || r.Loss != [2]string{"none", "none"} {
				t.Errorf("guesses: %v, lost %q", r.Guesses, r.Loss)
			}
			if r.Left != [2]int{0, seats} || r.Hash != [2]uint64{} {
				t.Errorf("in the end %d seats are taken, and %d after others had them all; %d in the hashes", r.Left[0], r.Left[1], r.Hash)
			}
			if len(r.Refused) != 0 {
				t.Error(strings.Join(r.Refused, "\n"))
			}
			right, wrong := 0, 0
			for stack, n := range alike(r.Mistaken, 0) {
				if want[stack] > 0 {
					right += n
				} else {
					wrong += n
				}
			}
			if r.WrongGuesses != 1 || wrong == 0 || right < wrong {
				t.Errorf("%d wrong guesses counted, want 1; then %d stacks were wrong and %d right", r.WrongGuesses, wrong, right)
			}
			t.Logf("%d stacks; of mistaken ones %d were wrong, and %d right", len(want), wrong, right)
		})
	}
}
