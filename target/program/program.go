// SPDX-License-Identifier: Apache-2.0

package program

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/target/machine"
)

// MaxBytes bounds what all files of a program may take: a guest has them in memory.
const MaxBytes = 1 << 30

// Files are files of a guest, by absolute path.
type Files struct {
	Content map[string][]byte
	Bytes   int64  // of all
	Arch    string // that the program is for; empty: no program was read
	dirs    []string
}

// None is no file yet, for a program whose files a guest has.
func None() *Files { return &Files{Content: map[string][]byte{}} }

// Find finds the files that a command needs: of its program, which is searched for in
// PATH, and of what a script's first line names. file is the program's path.
func Find(name string) (file string, files *Files, err error) {
	file, err = exec.LookPath(name)
	if err != nil {
		return "", nil, err
	}
	if file, err = filepath.Abs(file); err != nil {
		return "", nil, err
	}
	files = &Files{Content: map[string][]byte{}, dirs: libraryDirs("/etc/ld.so.conf")}
	return file, files, files.program(file, 0)
}

// maxInterpreters is how many scripts may interpret each other, as in the kernel.
const maxInterpreters = 5

// program adds a program with what it needs.
func (f *Files) program(file string, depth int) error {
	data, err := f.add(file, file)
	if err != nil {
		return err
	}
	if rest, ok := bytes.CutPrefix(data, []byte("#!")); ok {
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		words := strings.Fields(string(line))
		if len(words) == 0 || depth == maxInterpreters {
			return fmt.Errorf("run %s: its first line names no interpreter", file)
		}
		if filepath.Base(words[0]) == "env" && len(words) > 1 {
			inner, err := exec.LookPath(words[1])
			if err != nil {
				return fmt.Errorf("run %s: its interpreter %s is not there", file, words[1])
			}
			if inner, err = filepath.Abs(inner); err != nil {
				return err
			}
			if err := f.program(inner, depth+1); err != nil {
				return err
			}
		}
		return f.program(words[0], depth+1)
	}
	return f.object(file, data)
}

// object adds what an ELF object needs: the loader and the libraries of it and of
// them.
func (f *Files) object(file string, data []byte) error {
	e, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("run %s: it is neither a program nor a script with #!", file)
	}
	all := machine.All()
	i := slices.IndexFunc(all, func(m machine.Machine) bool { return m.ELF == e.Machine })
	if i < 0 || e.Class != elf.ELFCLASS64 {
		return fmt.Errorf("run %s: it is for %s (a guest is one of %s)", file, e.Machine, strings.Join(machine.Names(), ", "))
	}
	f.Arch = all[i].Arch
	for _, p := range e.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > 4096 {
			continue
		}
		name := make([]byte, p.Filesz)
		if _, err := p.ReadAt(name, 0); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("run %s: %w", file, err)
		}
		loader := string(bytes.TrimRight(name, "\x00"))
		if _, err := f.add(loader, loader); err != nil {
			return fmt.Errorf("run %s: its loader %s: %w", file, loader, err)
		}
	}
	needed, err := e.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("run %s: read the libraries that it needs: %w", file, err)
	}
	for _, library := range needed {
		if err := f.library(e, file, library); err != nil {
			return err
		}
	}
	return nil
}

// library adds a shared library that an object needs.
func (f *Files) library(of *elf.File, file, library string) error {
	for _, dir := range slices.Concat(runPaths(of, file), filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")), f.dirs) {
		path := filepath.Join(dir, library)
		if _, have := f.Content[path]; have {
			return nil
		}
		if !isLibrary(path, of.Machine) {
			continue
		}
		data, err := f.add(path, path)
		if err != nil {
			return err
		}
		return f.object(path, data)
	}
	return fmt.Errorf("run %s: its library %s is not found (set LD_LIBRARY_PATH, or give it with --file)", file, library)
}

func isLibrary(path string, machine elf.Machine) bool {
	e, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer e.Close()
	return e.Machine == machine && e.Class == elf.ELFCLASS64
}

// runPaths are the directories that an object itself names.
func runPaths(e *elf.File, file string) []string {
	var dirs []string
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		lists, err := e.DynString(tag)
		if err != nil {
			continue
		}
		for _, list := range lists {
			for _, dir := range filepath.SplitList(list) {
				for _, origin := range []string{"${ORIGIN}", "$ORIGIN"} {
					dir = strings.ReplaceAll(dir, origin, filepath.Dir(file))
				}
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// libraryDirs are the directories that ld.so looks into: those of its configuration,
// and its own.
func libraryDirs(conf string) []string {
	dirs := confDirs(conf, 0)
	for _, m := range machine.All() {
		dirs = append(dirs, m.Libraries...)
	}
	return append(dirs, "/lib64", "/usr/lib64", "/lib", "/usr/lib")
}

// confDirs reads a configuration, and those that it includes.
func confDirs(conf string, depth int) []string {
	data, err := os.ReadFile(conf)
	if err != nil || depth > 4 {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[0] == "include":
			glob := words[1]
			if !filepath.IsAbs(glob) {
				glob = filepath.Join(filepath.Dir(conf), glob)
			}
			files, _ := filepath.Glob(glob)
			for _, file := range files {
				dirs = append(dirs, confDirs(file, depth+1)...)
			}
		case len(words) == 1:
			dirs = append(dirs, words[0])
		}
	}
	return dirs
}

// AddFile adds a file that the user names: HOST or HOST:GUEST. A directory is added
// with all that is in it.
func (f *Files) AddFile(spec string) error {
	host, guest, given := strings.Cut(spec, ":")
	host, err := filepath.Abs(host)
	if err != nil {
		return err
	}
	if !given {
		guest = host
	}
	for _, mount := range []string{"/proc", "/sys", "/dev", "/mapprof"} {
		if guest == mount || strings.HasPrefix(guest, mount+"/") {
			return fmt.Errorf("--file %s: what is in %s can't be seen in the guest, which has its own", spec, mount)
		}
	}
	if !filepath.IsAbs(guest) {
		return fmt.Errorf("--file %s: %s is no absolute path in the guest", spec, guest)
	}
	info, err := os.Stat(host)
	if err != nil {
		return fmt.Errorf("--file %s: there is no such file", spec)
	}
	if !info.IsDir() {
		_, err := f.add(host, guest)
		return err
	}
	return filepath.WalkDir(host, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("--file %s: %w", spec, err)
		}
		info, serr := os.Stat(path)
		if d.IsDir() || serr != nil || !info.Mode().IsRegular() {
			return nil // a link to nowhere, a socket
		}
		rel, err := filepath.Rel(host, path)
		if err != nil {
			return err
		}
		_, err = f.add(path, filepath.Join(guest, rel))
		return err
	})
}

// add adds a file of this machine, and returns what is in it.
func (f *Files) add(host, guest string) ([]byte, error) {
	info, err := os.Stat(host)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", host)
	}
	if f.Bytes+info.Size() > MaxBytes {
		return nil, fmt.Errorf("the program and its files are more than %d MiB (a guest has them in memory)", MaxBytes>>20)
	}
	data, err := os.ReadFile(host)
	if err != nil {
		return nil, err
	}
	f.Content[filepath.Clean(guest)] = data
	f.Bytes += int64(len(data))
	return data, nil
}
