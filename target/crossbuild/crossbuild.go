// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crossbuild

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/machine"
)

const modulePath = "github.com/mapprof/mapprof"

// Options say where the program may come from.
type Options struct {
	Given   string            // a file, which is used for its architecture; may be empty
	Offline bool              // never use the network
	Say     func(line string) // of what is being waited for
}

// MissingError says that there is no mapprof for an architecture, and how to get one.
type MissingError struct {
	Arch string
	Err  error
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("find mapprof for a guest of %s: %v (CGO_ENABLED=0 GOARCH=%s go build -o %s ./cmd/mapprof in mapprof's checkout makes one, for --guest-binary or to stand beside this program)",
		e.Arch, e.Err, e.Arch, fileName(e.Arch))
}

func (e *MissingError) Unwrap() error { return e.Err }

func fileName(arch string) string { return "mapprof-" + arch }

// Program returns the path of mapprof for guests of an architecture; empty: this program.
func Program(ctx context.Context, arch string, o Options) (string, error) {
	kind, err := machine.Of(arch)
	if err != nil {
		return "", err
	}
	here := kind.Arch == runtime.GOARCH
	if o.Given != "" {
		f, err := elf.Open(o.Given)
		if _, unread := errors.AsType[*fs.PathError](err); err != nil && !unread {
			err = errors.New("it is no program for Linux (no ELF file)")
		}
		if err != nil {
			return "", fmt.Errorf("use --guest-binary %s: %w", o.Given, err)
		}
		defer f.Close()
		switch {
		case f.Machine == kind.ELF:
			return filepath.Abs(o.Given)
		case !here:
			return "", fmt.Errorf("use --guest-binary %s: it is for %s (the guest is %s)", o.Given, f.Machine, kind.Arch)
		}
	}
	if here {
		return "", nil
	}
	exe, err := os.Executable()
	if err == nil {
		if beside := filepath.Join(filepath.Dir(exe), fileName(kind.Arch)); isFile(beside) {
			return beside, nil
		}
	}
	path, err := build(ctx, kind, exe, o)
	if err != nil && ctx.Err() == nil {
		return "", &MissingError{Arch: kind.Arch, Err: err}
	}
	return path, err
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// build has the go tool build the program into the cache. What it built before it
// doesn't build again.
func build(ctx context.Context, kind *machine.Machine, exe string, o Options) (string, error) {
	tool, err := exec.LookPath("go")
	if err != nil {
		return "", errors.New("there is none beside this program, and no go tool to build it")
	}
	cache, err := kernels.OpenCache(kernels.Options{})
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache.Dir, "guest")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(dir, ".tmp-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	env := append(os.Environ(), "GOOS=linux", "GOARCH="+kind.Arch, "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if o.Offline {
		env = append(env, "GOPROXY=off", "GOTOOLCHAIN=local")
	}
	ldflags, root := "-ldflags=-s -w", checkout(exe)
	if version := installed(); version != "" {
		ldflags += " -X " + modulePath + "/internal/version.tag=" + version
		if root, err = download(ctx, env, tool, version); err != nil {
			return "", err
		}
	}
	if root == "" {
		return "", errors.New("there is none beside this program, and its sources weren't found to build it")
	}
	o.Say(fmt.Sprintf("building mapprof for %s from %s", kind.Arch, root))
	built := filepath.Join(tmp, fileName(kind.Arch))
	if _, err := run(ctx, env, root, tool, "build", "-trimpath", ldflags, "-o", built, "./cmd/mapprof"); err != nil {
		return "", err
	}
	path := filepath.Join(dir, fileName(kind.Arch))
	return path, os.Rename(built, path)
}

// download returns the directory of a version's sources. The go tool has them, since it
// built this program, or gets them again.
func download(ctx context.Context, env []string, tool, version string) (string, error) {
	out, err := run(ctx, env, os.TempDir(), tool, "mod", "download", "-json", modulePath+"@"+version)
	if err != nil {
		return "", err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal([]byte(out), &module); err != nil || module.Dir == "" {
		return "", fmt.Errorf("read what go mod download says of %s: %q (%w)", version, out, err)
	}
	return module.Dir, nil
}

// installed is the version that "go install" downloaded; empty: this program is not
// of a module that was.
func installed() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != modulePath || info.Main.Sum == "" {
		return ""
	}
	return info.Main.Version
}

var moduleLine = regexp.MustCompile(`(?m)^module ` + regexp.QuoteMeta(modulePath) + `\s*$`)

// checkout finds mapprof's sources: above this program, where it was compiled, or above
// the working directory.
func checkout(exe string) string {
	var from []string
	if exe != "" {
		from = append(from, filepath.Dir(exe))
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		from = append(from, filepath.Dir(file))
	}
	if wd, err := os.Getwd(); err == nil {
		from = append(from, wd)
	}
	for _, dir := range from {
		for ; ; dir = filepath.Dir(dir) {
			if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && moduleLine.Match(text) {
				return dir
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return ""
}

// run runs the go tool in a directory and returns what it prints.
func run(ctx context.Context, env []string, dir, tool string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Env, cmd.Dir = env, dir
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		said, _, _ := strings.Cut(strings.TrimSpace(string(failed.Stderr)), "\n")
		return "", fmt.Errorf("go %s: %s", args[0], said)
	}
	return string(out), err
}
