// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/target/guest"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/target/wire"
)

func init() {
	guestMains["panic"] = func([]string) error {
		if err := os.WriteFile("/proc/sys/kernel/sysrq", []byte("1"), 0); err != nil {
			return err
		}
		return os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
	}
	guestMains["hang"] = func([]string) error { return forEver() }
	guestMains["out-of-memory"] = func([]string) error {
		for keep := [][]byte{}; ; {
			keep = append(keep, bytes.Repeat([]byte{1}, 16<<20))
		}
	}
	guestTasks["flood"] = func(ctx context.Context, env *task.Env, request []byte) (any, error) {
		console, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		go func() {
			line := []byte(strings.Repeat(floodText, 10) + "\n")
			for err == nil {
				_, err = console.Write(line)
			}
		}()
		return trial.Handlers()[trial.TaskRun](ctx, env, request)
	}
	guestTasks["flood-progress"] = func(ctx context.Context, env *task.Env, request []byte) (any, error) {
		for i := range floodedLines {
			env.OnProgress(task.Progress{Stage: floodText + strconv.Itoa(i%2)}) // a line each
		}
		return trial.Handlers()[trial.TaskRun](ctx, env, request)
	}
	guestMains["garbage"] = func([]string) error { return toPort([]byte("this is no frame, as anybody can see")) }
	guestMains["oversized-frame"] = func([]string) error { return toPort(frame(frameEvent, 1<<20, nil)) }
	guestMains["bad-name"] = func([]string) error {
		name := []byte("extra")
		return toPort(frame(frameFileBegin, len(name), name))
	}
	guestMains["endless"] = func([]string) error {
		ch, err := guest.OpenChannel()
		for err == nil {
			err = ch.Send("progress", make([]byte, 60<<10))
		}
		return err
	}
	guestMains["false-run"] = func([]string) error {
		ch, err := guest.OpenChannel()
		if err != nil {
			return err
		}
		return errors.Join(ch.SendFile("run.json", strings.NewReader(`{"schema_version": 1, "scenarios": [{}]}`)), ch.Send("reply", []byte("{}")))
	}
}

const (
	floodText    = "no end of it "
	floodedLines = 3000
)

func forEver() error {
	for {
		time.Sleep(time.Hour)
	}
}

// toPort writes past init, to the port that its frames go through.
func toPort(b []byte) error {
	port, err := os.OpenFile("/dev/ttyS1", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := port.Write(b); err != nil {
		return err
	}
	return forEver()
}

// Types of frames, as target/channel.go defines them.
const (
	frameEvent     = 3
	frameFileBegin = 4
)

// frame is the first frame of a job: the third after hello and started.
func frame(kind byte, size int, payload []byte) []byte {
	b := append([]byte("MPF\x01"), kind, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, 2)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	sum := crc32.Checksum(append(bytes.Clone(b), payload...), crc32.MakeTable(crc32.Castagnoli))
	return append(binary.LittleEndian.AppendUint32(b, sum), payload...)
}

// TestVMBadGuests are guests that don't do what they should, under the program
// as it is: a message with a hint, the exit code, and nothing left behind.
func TestVMBadGuests(t *testing.T) {
	cache := ownCache(t)
	t.Setenv("MAPPROF_CACHE", cache)
	defer func(l wire.Limits) { guestLimits = l }(guestLimits)
	guestLimits.TotalBytes = 512 << 10 // the default would take half an hour
	all := []string{
		"--append " + guestMainArg + "panic",
		"--append " + guestMainArg + "hang --timeout 6s",
		"--append " + guestMainArg + "out-of-memory --memory 256MiB",
		"--append " + guestMainArg + "flood",
		"--append " + guestMainArg + "flood-progress",
		"--append " + guestMainArg + "garbage",
		"--append " + guestMainArg + "oversized-frame",
		"--append " + guestMainArg + "bad-name",
		"--append " + guestMainArg + "endless",
		"--append " + guestMainArg + "false-run",
		"--append rdinit=/no/such/init",
		"--append rdinit=/no/such/init --append panic=0 --timeout 6s",
		"--inner-entries 200000000 --memory 512MiB",
		"--memory 64MiB",
		"--memory 900TiB",
	}
	bad := func(t *testing.T, args string) string {
		var text strings.Builder
		parent, console := t.TempDir(), filepath.Join(t.TempDir(), "console")
		code, stdout, stderr := badRun(t, parent, console, strings.Fields(args))
		message := masked(messageOf(stderr), cache, "CACHE")
		fmt.Fprintf(&text, "$ mapprof run %s\n[exit %d] %s\n", args, code, message)
		if _, tail, ok := strings.Cut(stderr, "\nthe end of the guest's console:\n  "); ok && strings.Contains(args, "=hang") {
			// On a busy host a kernel may have complained about its clock before it was
			// asked what its tasks do. That answer is not in the tail.
			if t.Logf("the hung guest's console: %s", tail); strings.Contains(tail, "task:") || strings.Contains(tail, "NMI") {
				t.Errorf("%s: the console has what the interrupt made it say:\n%s", args, tail)
			}
		} else if ok {
			text.WriteString("and the end of the guest's console\n")
		}
		if strings.HasSuffix(args, "=flood") {
			log, err := os.ReadFile(console)
			if n := bytes.Count(log, []byte(floodText)); err != nil || n < 10000 || len(log) > 4<<20+100 {
				t.Errorf("the console was flooded %d times, %d bytes are kept, %v", n, len(log), err)
			}
		}
		if n := strings.Count(stderr, floodText); strings.Contains(args, "=flood-progress") && (n < 50 || n > floodedLines/5) {
			t.Errorf("%d lines of %d that a guest said of its progress were printed", n, floodedLines)
		}
		fmt.Fprintf(&text, "left: %s\n\n", left(t, parent))
		if (stdout != "") != (code == exitOK) {
			t.Errorf("%s: exit %d, printed %q", args, code, stdout)
		}
		return text.String()
	}
	texts := make([]string, len(all))
	t.Run("all", func(t *testing.T) {
		for i, args := range all {
			t.Run(strings.NewReplacer("--", "", guestMainArg, "").Replace(args), func(t *testing.T) {
				t.Parallel()
				texts[i] = bad(t, args)
			})
		}
	})
	if scratch := scratchLeft(t, cache); len(scratch) > 0 {
		t.Errorf("left in the cache: %v", scratch)
	}
	checkGolden(t, "bad-guests.golden", strings.Join(texts, ""))
}

// badRun runs with these arguments. Where --timeout was over before a slow
// machine's guest had come to do what it should not, it takes a longer one.
func badRun(t *testing.T, parent, console string, args []string) (code int, stdout, stderr string) {
	t.Helper()
	args = append([]string{"run", "--kernel", "6.12", "--count", "5", "--console", console, "-o", filepath.Join(parent, "run")}, args...)
	for timeout := 6 * time.Second; ; timeout *= 2 {
		if args[len(args)-2] == "--timeout" {
			args[len(args)-1] = timeout.String()
		}
		code, stdout, stderr = mapprof(t, args...)
		if !strings.Contains(stderr, ": nothing heard in ") || timeout > time.Minute {
			return code, stdout, stderr
		}
	}
}
