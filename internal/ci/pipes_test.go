// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ci

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the repository's.
var root, _ = filepath.Abs(filepath.Join("..", ".."))

func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// script writes a program for bash.
func script(t *testing.T, name, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/usr/bin/env bash\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// ends runs a command and returns its exit status and what it said.
func ends(t *testing.T, cmd *exec.Cmd) (int, string) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

const passed = `echo "--- PASS: TestVMFirst (0.00s)"`

// TestQuietFails: every way in which tests can fail is seen through .ci/quiet,
// that of a process that was killed after a test passed too.
func TestQuietFails(t *testing.T) {
	for _, c := range []struct {
		name, body string
		ok         bool
	}{
		{"passes", passed + "; echo PASS", true},
		{"killed", passed + "; kill -9 $$", false},
		{"exit status alone", passed + "; exit 137", false},
		{"failed", passed + `; echo "--- FAIL: TestVMSecond (0.00s)"`, false},
		{"panic without a newline", passed + `; printf 'panic: x'`, false},
		{"none ran", `echo "ok  	x	0.1s [no tests to run]"`, false},
		{"nothing at all", "", false},
	} {
		code, out := ends(t, exec.Command(filepath.Join(root, ".ci", "quiet"), script(t, "go", c.body)))
		if (code == 0) != c.ok {
			t.Errorf("%s: exit status %d: %s", c.name, code, out)
		}
	}
	// The slowest come first, by number.
	many := `for n in 7 100 30.5 2 0.00 9; do echo "--- PASS: TestVM$n (${n}s)"; done`
	if code, out := ends(t, exec.Command(filepath.Join(root, ".ci", "quiet"), script(t, "go", many))); code != 0 || !strings.Contains(out, "the slowest of 6 tests:\n  TestVM100 (100s)\n  TestVM30.5 (30.5s)\n  TestVM9 (9s)\n") {
		t.Errorf("exit status %d: %s", code, out)
	}
	if code, out := ends(t, exec.Command(filepath.Join(root, ".ci", "quiet"))); code != 2 || !strings.Contains(out, "usage") {
		t.Errorf("without a command: exit status %d: %s", code, out)
	}
}

// TestMakeFails: the Makefile's own recipes fail with the test process that they
// start, and so would a pipe in any of them.
func TestMakeFails(t *testing.T) {
	killed, fine := script(t, "go", passed+"; kill -9 $$"), script(t, "go", passed)
	planted := filepath.Join(t.TempDir(), "Makefile")
	rules := fmt.Sprintf("include %s\nplanted-pipe:\n\t@false | cat\n", filepath.Join(root, "Makefile"))
	if err := os.WriteFile(planted, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"vmtest", "vmtest-kernel", "browsertest", "promtest"} {
		// The prerequisite would build mapprof and fetch kernels.
		args := []string{"-o", "kernels", target}
		if code, out := ends(t, inRoot("make", append(args, "GO="+killed)...)); code == 0 || !strings.Contains(out, "exit status 137") {
			t.Errorf("make %s with a test process that is killed: exit status %d: %s", target, code, out)
		}
		if code, out := ends(t, inRoot("make", append(args, "GO="+fine)...)); code != 0 {
			t.Errorf("make %s: exit status %d: %s", target, code, out)
		}
	}
	if code, out := ends(t, inRoot("make", "-f", planted, "planted-pipe")); code == 0 {
		t.Errorf("a pipe in the Makefile lost the exit status (GNU make 3.82 is the oldest): %s", out)
	}
}

// inRoot is a command in the repository's root. The make that runs the tests
// would have a say in the one that they start.
func inRoot(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "MFLAGS=") && !strings.HasPrefix(v, "GNUMAKEFLAGS=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}

// A pipe is one "|" that is neither half of "||" nor of a pattern of case.
var (
	pipe = regexp.MustCompile(`(^|[^|>\\])\|&?([^|]|$)`)
	// These lose a status even with pipefail: that of a process substitution that
	// a loop reads, and of a writer whose reader leaves at its first match.
	swallows = regexp.MustCompile(`< <\(|\|\s*e?grep -[a-zA-Z]*q`)
)

// loses lists what a script could lose an exit status by.
func loses(text string, pipefail bool) []string {
	var found []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if swallows.MatchString(line) || !pipefail && pipe.MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}

// TestPipes: no pipe in the Makefile, the scripts or the workflows loses the exit
// status of what writes into it.
func TestPipes(t *testing.T) {
	for text, want := range map[string]int{"a | b": 1, "a |& b": 1, "a || b": 0, "while read x; do y; done < <(z)": 1, "# a | b": 0, "x='a'|b": 1} {
		if got := loses(text, false); len(got) != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if got := loses("a | b\na | grep -q b", true); len(got) != 1 {
		t.Errorf("%q", got)
	}
	check := func(name, text string, pipefail bool) {
		for _, line := range loses(text, pipefail) {
			t.Errorf("%s loses an exit status: %s", name, line)
		}
	}
	makefile := read(t, "Makefile")
	flags := regexp.MustCompile(`(?m)^\.SHELLFLAGS := .*\bpipefail\b`).MatchString(makefile)
	check("Makefile", makefile, flags && regexp.MustCompile(`(?m)^SHELL +:= bash$`).MatchString(makefile))

	scripts, err := os.ReadDir(filepath.Join(root, ".ci"))
	if err != nil || len(scripts) < 5 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	for _, s := range scripts {
		text := read(t, ".ci", s.Name())
		if !strings.HasPrefix(text, "#!/usr/bin/env bash\n") {
			t.Errorf(".ci/%s is no script of bash", s.Name())
		}
		check(".ci/"+s.Name(), text, regexp.MustCompile(`(?m)^set -euo pipefail$`).MatchString(text))
	}
	steps := 0
	for _, w := range workflows(t) {
		for _, s := range w.steps() {
			steps++
			// A shell that is named bash has pipefail, the one without a name has not.
			check(w.file, s.Run, s.Shell == "bash")
		}
	}
	if steps < 5 {
		t.Errorf("only %d steps with a script were found", steps)
	}
}

// TestFuzzSeesStandstill: a target that executes next to nothing fails, and so do
// one that finds something and a package that doesn't compile.
func TestFuzzSeesStandstill(t *testing.T) {
	busy := `for ((i = 0; i < 500000; i++)); do :; done` // much more than 0.1 s of CPU time
	dir := t.TempDir()
	for name, text := range map[string]string{".ci/fuzz": read(t, ".ci", "fuzz"), "planted/planted_test.go": "func FuzzPlanted(f *testing.F) {}\n"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, target string
		fails        bool
		says         string
	}{
		{"stands still", busy + `; echo "fuzz: elapsed: 3s, execs: 1 (0/sec)"`, true, "stands still"},
		{"never began", `echo "fuzz: elapsed: 3s, gathering baseline coverage: 0/9 completed"`, true, "stands still"},
		{"knows much", `echo "fuzz: elapsed: 1s, gathering baseline coverage: 123/200 completed"`, false, "123 executions"},
		{"runs", `echo "fuzz: elapsed: 3s, execs: 123456 (41152/sec)"`, false, "123456 executions"},
		{"finds something", `echo "    Failing input written to testdata"; exit 1`, true, "Failing input"},
		{"is killed", `echo "fuzz: elapsed: 3s, execs: 123456 (41152/sec)"; kill -9 $$`, true, "failed"},
		{"does not compile", "", true, "failed"},
	} {
		// A go that "compiles" each package to the planted target.
		compile := "exit 1"
		if c.target != "" {
			compile = "cp " + script(t, "target", `case "$*" in *test.list*) echo FuzzPlanted; exit ;; esac; `+c.target) + ` "$6"`
		}
		fake := script(t, "go", `case "$1 $2" in
"list -m") echo example.com/planted ;;
"env GOCACHE") echo `+t.TempDir()+` ;;
"env GOVERSION") echo go1.26.8 ;;
"test -c") `+compile+` ;;
*) exit 1 ;;
esac`)
		cmd := exec.Command(filepath.Join(dir, ".ci", "fuzz"), "3s")
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(fake)+string(os.PathListSeparator)+os.Getenv("PATH"))
		code, out := ends(t, cmd)
		if (code != 0) != c.fails || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit status %d: %s", c.name, code, out)
		}
	}
}
