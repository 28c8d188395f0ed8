// SPDX-License-Identifier: Apache-2.0

package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFind: a program that is linked dynamically comes with its loader and its
// libraries, a script with its interpreter.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/usr/bin/env -S sh\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sh", plain} {
		file, files, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		var loader, libc bool
		for path := range files.Content {
			loader = loader || strings.HasPrefix(filepath.Base(path), "ld-linux")
			libc = libc || strings.HasPrefix(filepath.Base(path), "libc.so")
		}
		if files.Content[file] == nil || !loader || !libc || files.Bytes == 0 {
			t.Errorf("%s: %s, loader %v, libc %v, %d bytes", name, file, loader, libc, files.Bytes)
		}
	}
}

func TestFindRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct{ data, want string }{
		"text":    {"hello\n", "neither a program nor a script"},
		"empty":   {"", "neither a program nor a script"},
		"nothing": {"#!\n", "names no interpreter"},
		"lost":    {"#!/no/such/interpreter\n", "no such file"},
		"loop":    {"#!" + filepath.Join(dir, "loop") + "\n", "names no interpreter"},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(tt.data), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Find(file); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAddFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "etc", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etc/a", "etc/x/b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := &Files{Content: map[string][]byte{}}
	for _, spec := range []string{filepath.Join(dir, "etc") + ":/etc/agent", filepath.Join(dir, "etc/a")} {
		if err := f.AddFile(spec); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/etc/agent/a", "/etc/agent/x/b", filepath.Join(dir, "etc/a")} {
		if len(f.Content[path]) == 0 {
			t.Errorf("%s is not there: %d files", path, len(f.Content))
		}
	}
	for spec, want := range map[string]string{
		filepath.Join(dir, "none"):              "there is no such file",
		filepath.Join(dir, "etc/a") + ":rel":    "no absolute path",
		filepath.Join(dir, "etc/a") + ":/sys/x": "can't be seen in the guest",
		"/dev/null:/x":                          "is no file",
	} {
		if err := f.AddFile(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

func TestLibraryDirs(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("ld.so.conf", "/first # a comment\ninclude *.more\n\n")
	write("a.more", "/second\ninclude "+filepath.Join(dir, "a.more")+"\n") // of itself
	if got := libraryDirs(filepath.Join(dir, "ld.so.conf")); len(got) < 4 || got[0] != "/first" || got[1] != "/second" {
		t.Errorf("%q", got)
	}
}
