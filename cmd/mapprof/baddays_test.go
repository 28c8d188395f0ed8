// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
)

// readingCommands are all that read run directories; A stands for the damaged
// one, B for a good one.
var readingCommands = []string{
	"report A",
	"report A -o out.html",
	"compare B A",
	"gate --baseline B --candidate A",
	"export A --format csv",
	"export A --format trace",
	"export A --format openmetrics",
	"pprof A -top",
}

// damages are what may have happened to a run directory.
var damages = []struct {
	name, file string
	change     func([]byte) []byte
}{
	{"no run.json", results.RunFile, nil},
	{"empty run.json", results.RunFile, func([]byte) []byte { return nil }},
	{"truncated run.json", results.RunFile, func(b []byte) []byte { return b[:len(b)/2] }},
	{"bit-flipped run.json", results.RunFile, func(b []byte) []byte { b = bytes.Clone(b); b[2] ^= 0x80; return b }},
	{"newer run.json", results.RunFile, func(b []byte) []byte {
		return bytes.Replace(b, []byte(`"schema_version": 2`), []byte(`"schema_version": 99`), 1)
	}},
	{"run.json of another program", results.RunFile, func([]byte) []byte { return []byte(`{"name":"x"}`) }},
	{"run.json that contradicts itself", results.RunFile, func(b []byte) []byte {
		var run map[string]any
		_ = json.Unmarshal(b, &run)
		run["targets"] = []any{}
		out, _ := json.Marshal(run)
		return out
	}},
	{"truncated histograms", results.HistogramsFile, func(b []byte) []byte { return b[:len(b)*2/3] }},
	{"bit-flipped histograms", results.HistogramsFile, func(b []byte) []byte { b = bytes.Clone(b); b[len(b)*2/3] ^= 0x04; return b }},
	{"truncated profile", results.ProfileFile, func(b []byte) []byte { return b[:len(b)/2] }},
	{"bit-flipped profile", results.ProfileFile, func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 0x10; return b }},
	{"truncated deaths", results.DeathsFile, func(b []byte) []byte { return b[:len(b)/2] }},
	{"bit-flipped deaths", results.DeathsFile, func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 0x10; return b }},
}

// TestDamagedRuns gives every damage to every command that reads runs: no
// panic, one line, no success. A report shows what is intact, and nothing is
// written otherwise.
func TestDamagedRuns(t *testing.T) {
	work := t.TempDir()
	t.Chdir(work)
	tinyRun(t, "B")
	var text strings.Builder
	for _, d := range damages {
		damagedRun(t, "A", d.file, d.change)
		fmt.Fprintf(&text, "%s\n", d.name)
		for _, command := range readingCommands {
			code, stdout, stderr := mapprof(t, strings.Fields(command)...)
			said := oneLine(t, command, code, stderr)
			if code == exitInconclusive {
				// A verdict, not an error: it says why on standard output.
				said = strings.Join(regexp.MustCompile(`(?m)^.*(INCONCLUSIVE|FAIL).*$`).FindAllString(stdout, 1), "")
			}
			fmt.Fprintf(&text, "  $ mapprof %s\n  [exit %d] %s\n", command, code, strings.TrimSpace(said))
			if code == exitOK {
				t.Errorf("%s: %s: exit 0", d.name, command)
			}
			if _, err := os.Stat("out.html"); (err == nil) != (strings.Contains(command, "out.html") && d.file != results.RunFile) {
				t.Errorf("%s: %s: exit %d, out.html: %v", d.name, command, code, err)
			}
			_ = os.Remove("out.html")
		}
	}
	checkGolden(t, "damaged-runs.golden", text.String())
}

// profileFor gives a run the profile that tinyRun leaves out.
func profileFor(t *testing.T, dir string) {
	t.Helper()
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	b := profile.NewBuilder()
	err = d.Deaths(b.Add)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Build(nil, profile.MetaOf(d.Run))
	if err != nil {
		t.Fatal(err)
	}
	var gz bytes.Buffer
	if err := profile.Write(&gz, p); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.ProfilePath(), gz.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := synthetic.Edit(dir, nil); err != nil {
		t.Fatal(err)
	}
}

// oneLine is the program's message if it is one line.
func oneLine(t *testing.T, command string, code int, stderr string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if code != exitOK && code != exitInconclusive && (len(lines) != 1 || !strings.HasPrefix(lines[0], "mapprof: ")) {
		t.Errorf("%s: exit %d says %q", command, code, stderr)
	}
	return masked(whereCut(lines[0]))
}

// whereCut hides where a log is cut, which depends on the order of its
// histograms.
func whereCut(said string) string {
	return regexp.MustCompile(`(histograms\.hlog: ).*( \(the file)`).ReplaceAllString(said, "$1…$2")
}

// TestAbandonedRun: whatever reads runs says where one that was killed left
// something, and leaves it there.
func TestAbandonedRun(t *testing.T) {
	t.Chdir(t.TempDir())
	tinyRun(t, "runs/A")
	tinyRun(t, "runs/B")
	commands := append([]string{"web runs --http nowhere", "web runs/A --http nowhere"}, readingCommands...)
	said := func(command string) int {
		args := strings.Fields(command)
		for i, a := range args {
			if a == "A" || a == "B" {
				args[i] = "runs/" + a
			}
		}
		_, _, stderr := mapprof(t, args...)
		_ = os.Remove("out.html")
		return strings.Count(stderr, "note: a run that was killed left runs/.C.tmp-1 (the next run there removes it)\n")
	}
	for _, command := range commands {
		if n := said(command); n != 0 {
			t.Errorf("mapprof %s says %d times that something was left", command, n)
		}
	}
	left := filepath.Join("runs", ".C.tmp-1")
	if err := errors.Join(os.Mkdir(left, 0o700), os.WriteFile(filepath.Join(left, ".mapprof-unfinished"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		if n := said(command); n != 1 {
			t.Errorf("mapprof %s says %d times what was left", command, n)
		}
	}
	if _, err := os.Stat(left); err != nil {
		t.Error(err)
	}
	tinyRun(t, "runs/D")
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("the next run left it: %v", err)
	}
}

// TestReadOnlyOutput writes where nothing can be written.
func TestReadOnlyOutput(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a read-only file system needs root")
	}
	work := t.TempDir()
	t.Chdir(work)
	t.Setenv("MAPPROF_CACHE", filepath.Join(work, "cache"))
	tinyRun(t, "B")
	if err := os.Mkdir("ro", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", "ro", "tmpfs", syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(filepath.Join(work, "ro"), 0); err != nil {
			t.Error(err)
		}
	}()
	var text strings.Builder
	for _, command := range []string{
		"run --kernel 6.12 --offline -o ro/run",
		"run --kernel 6.12 --offline -o ro/more/run",
		"report B -o ro/out.html",
	} {
		code, stdout, stderr := mapprof(t, strings.Fields(command)...)
		if stdout != "" || code == exitOK {
			t.Errorf("%s: exit %d, %s", command, code, stdout)
		}
		fmt.Fprintf(&text, "$ mapprof %s\n[exit %d] %s\n", command, code, oneLine(t, command, code, stderr))
	}
	checkGolden(t, "read-only.golden", text.String())
}

// TestUnprivileged is the local target for a user who may not trace.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("becoming another user needs root")
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "mapprof")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".")
	build.Dir, build.Env = packageDir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	home := filepath.Join(dir, "home")
	const nobody = 65534
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var text strings.Builder
	for _, command := range []string{
		"run --target local --count 5 -o run",
		"run --target local --strategy immediate --count 5 -o run",
		"doctor --target local",
	} {
		cmd := exec.CommandContext(t.Context(), bin, strings.Fields(command)...)
		cmd.Dir = home
		cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		_ = cmd.Run()
		fmt.Fprintf(&text, "$ mapprof %s\n[exit %d] %s\n", command, cmd.ProcessState.ExitCode(), masked(messageOf(stderr.String()), trial.Release(), "RELEASE"))
	}
	checkGolden(t, "unprivileged.golden", text.String())
	left, err := filepath.Glob(filepath.Join(home, "[^.]*")) // but for the cache
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
