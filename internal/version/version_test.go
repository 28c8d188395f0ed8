// SPDX-License-Identifier: Apache-2.0

package version

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

const (
	hash = "617eb27b3f0c8a94cf0de6f3a3f9c1b2d4e5f607"
	when = "2026-11-25T23:30:00-02:00" // a day later in UTC
)

func setting(key, value string) debug.BuildSetting {
	return debug.BuildSetting{Key: key, Value: value}
}

func TestFromBuild(t *testing.T) {
	checkout := []debug.BuildSetting{setting("vcs", "git"), setting("vcs.revision", hash), setting("vcs.time", "2026-11-25T10:00:00Z")}
	changed := append(checkout[:len(checkout):len(checkout)], setting("vcs.modified", "true"))
	mapprof := func(v string) debug.Module { return debug.Module{Path: modulePath, Version: v} }
	dep, moved, there := mapprof("v1.2.3"), mapprof("v1.2.3"), mapprof("(devel)")
	moved.Replace = &debug.Module{Path: "example.com/fork", Version: "v1.2.4"}
	other := debug.Module{Path: "example.com/other", Version: "v9.0.0"}
	for _, c := range []struct {
		name  string
		build debug.BuildInfo
		want  string
	}{
		{"nothing", debug.BuildInfo{}, releaseLine},
		{"not stamped", debug.BuildInfo{Main: mapprof("(devel)")}, releaseLine},
		{"installed", debug.BuildInfo{Main: mapprof("v1.2.3")}, "v1.2.3"},
		{"installed, to be released", debug.BuildInfo{Main: mapprof("v1.2.3-rc.1")}, "v1.2.3-rc.1"},
		{"installed by commit", debug.BuildInfo{Main: mapprof("v0.0.0-20261125203434-5c083047d1b2")}, releaseLine + " (5c08304, 2026-11-25)"},
		{"installed by commit after a tag", debug.BuildInfo{Main: mapprof("v1.2.4-0.20261125203434-5c083047d1b2")}, releaseLine + " (5c08304, 2026-11-25)"},
		{"checkout", debug.BuildInfo{Main: mapprof("v0.0.0-20261125100000-617eb27b3f0c"), Settings: checkout}, releaseLine + " (617eb27, 2026-11-25)"},
		{"checkout, modified", debug.BuildInfo{Main: mapprof("v0.0.0-20261125100000-617eb27b3f0c+dirty"), Settings: changed}, releaseLine + " (617eb27, 2026-11-25, modified)"},
		{"checkout of a tag", debug.BuildInfo{Main: mapprof("v1.2.3"), Settings: checkout}, "v1.2.3 (617eb27, 2026-11-25)"},
		{"checkout of a tag, modified", debug.BuildInfo{Main: mapprof("v1.2.3+dirty"), Settings: changed}, "v1.2.3 (617eb27, 2026-11-25, modified)"},
		{"in a program of others", debug.BuildInfo{Main: other, Deps: []*debug.Module{&dep}, Settings: changed}, "v1.2.3"},
		{"a fork in a program of others", debug.BuildInfo{Main: other, Deps: []*debug.Module{&moved}, Settings: changed}, "v1.2.4"},
		{"vendored without a version", debug.BuildInfo{Main: other, Deps: []*debug.Module{&there}, Settings: changed}, releaseLine},
		{"not of this module at all", debug.BuildInfo{Main: other, Settings: changed}, releaseLine},
		{"a time that is none", debug.BuildInfo{Main: mapprof("v0.0.0-20269925203434-5c083047d1b2")}, releaseLine},
	} {
		if got := merge(fromBuild(&c.build), Info{Tag: releaseLine}).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestFromArchive(t *testing.T) {
	for text, want := range map[string]string{
		hash + " " + when + " v1.2.3\n":            "v1.2.3 (617eb27, 2026-11-26)",
		hash + " " + when + " v1.2.3-4-g617eb27\n": releaseLine + " (617eb27, 2026-11-26)",
		hash + " " + when + " \n":                  releaseLine + " (617eb27, 2026-11-26)",
		hash + " " + when + " %(describe:tags)\n":  releaseLine + " (617eb27, 2026-11-26)", // git before 2.35
		"$" + "Format:%H %cI %(describe:tags)$\n":  releaseLine,
		"":                    releaseLine,
		hash + "\n":           releaseLine,
		hash + " yesterday\n": releaseLine + " (617eb27)",
	} {
		if got := merge(fromArchive(text), Info{Tag: releaseLine}).String(); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestMerge: commit, date and modified are one source's, the tag may be another's.
func TestMerge(t *testing.T) {
	got := merge(Info{Tag: "v1.0.0"}, Info{}, Info{Tag: "v2.0.0", Commit: hash, Modified: true}, Info{Tag: "v3.0.0", Commit: "0123456789", Date: parseTime(when)})
	if want := "v1.0.0 (617eb27, modified)"; got.String() != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// checkout is a repository with this package and a program that prints its
// version, at one commit. What the user has configured has no say.
type checkout struct {
	t      *testing.T
	dir    string
	commit string // the seven digits that are shown
}

func newCheckout(t *testing.T) checkout {
	t.Helper()
	c := checkout{t: t, dir: t.TempDir()}
	for name, value := range map[string]string{
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1",
		"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_AUTHOR_DATE": when,
		"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_COMMITTER_DATE": when,
		"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "", "GOENV": "off",
	} {
		t.Setenv(name, value)
	}
	const here = "internal/version/"
	root := filepath.Join("..", "..")
	for _, name := range []string{".gitattributes", ".ci/version", here + "version.go", here + "archive.txt", here + "testdata/show/main.go"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == here+"archive.txt" {
			// The tests may run in an archive, where it has been replaced.
			data = []byte("$" + "Format:%H %cI %(describe:tags)$\n")
		}
		c.write(name, string(data))
	}
	c.write("go.mod", "module "+modulePath+"\n\ngo 1.26\n")
	c.run("git", "init", "-q", "-b", "main")
	c.run("git", "add", ".")
	c.run("git", "commit", "-q", "-m", "first")
	c.commit = c.run("git", "rev-parse", "HEAD")[:7]
	return c
}

func (c checkout) write(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

func (c checkout) run(name string, args ...string) string {
	c.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// shows builds the program and returns the version that it prints.
func (c checkout) shows(flags ...string) string {
	c.t.Helper()
	program := filepath.Join(c.t.TempDir(), "show.exe")
	c.run("go", append(append([]string{"build", "-o", program}, flags...), "./internal/version/testdata/show")...)
	return c.run(program)
}

// TestBuilt builds a program in every way there is and asks it.
func TestBuilt(t *testing.T) {
	c := newCheckout(t)
	check := func(name, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	const day = ", 2026-11-26"
	x := "-X " + modulePath + "/internal/version."
	linker := "-ldflags=" + x + "tag=v3.0.0 " + x + "commit=" + hash + " " + x + "date=" + when + " " + x + "modified=true"

	check("checkout", c.shows(), releaseLine+" ("+c.commit+day+")")
	check("trimmed", c.shows("-trimpath", "-ldflags=-s -w"), releaseLine+" ("+c.commit+day+")")
	check("not stamped", c.shows("-buildvcs=false"), releaseLine)
	check("told by the linker", c.shows(linker), "v3.0.0 (617eb27"+day+", modified)")
	check("told a tag by the linker", c.shows("-ldflags="+x+"tag=v3.0.0"), "v3.0.0 ("+c.commit+day+")")
	check("told by the linker alone", c.shows("-buildvcs=false", linker), "v3.0.0 (617eb27"+day+", modified)")

	made := func(c checkout) string {
		return c.shows("-buildvcs=false", "-ldflags="+c.run("bash", ".ci/version"))
	}
	check("made", made(c), releaseLine+" ("+c.commit+day+")")
	tree := checkout{t: t, dir: filepath.Join(t.TempDir(), "tree")}
	c.run("git", "worktree", "add", "-q", "--detach", tree.dir)
	check("made in a worktree", made(tree), releaseLine+" ("+c.commit+day+")")

	c.write("internal/version/testdata/show/more.go", "package main\n")
	check("made, modified", made(c), releaseLine+" ("+c.commit+day+", modified)")
	check("modified", c.shows(), releaseLine+" ("+c.commit+day+", modified)")
	c.run("git", "clean", "-fdq")

	archived := c.archived()
	check("archive", archived.shows(), releaseLine+" ("+c.commit+day+")")
	check("made in an archive", made(archived), releaseLine+" ("+c.commit+day+")")
	c.run("git", "tag", "v0.9.0")
	check("tag", c.shows(), "v0.9.0 ("+c.commit+day+")")
	check("made at a tag", made(c), "v0.9.0 ("+c.commit+day+")")
	check("archive of a tag", c.archived().shows(), "v0.9.0 ("+c.commit+day+")")
	c.run("git", "commit", "-q", "--allow-empty", "-m", "second")
	c.commit = c.run("git", "rev-parse", "HEAD")[:7]
	check("after a tag", c.shows(), releaseLine+" ("+c.commit+day+")")
	check("archive after a tag", c.archived().shows(), releaseLine+" ("+c.commit+day+")")
}

// archived is what git archive makes of the commit, where no repository is.
func (c checkout) archived() checkout {
	c.t.Helper()
	out := checkout{t: c.t, dir: c.t.TempDir()}
	file := filepath.Join(c.t.TempDir(), "mapprof.tar")
	c.run("git", "archive", "-o", file, "HEAD")
	out.run("tar", "-xf", file)
	return out
}

// TestAttributes: git archive replaces the file that is embedded.
func TestAttributes(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", ".gitattributes"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "/internal/version/archive.txt export-subst"; !strings.Contains(string(data), want) {
		t.Errorf(".gitattributes lacks %q", want)
	}
}
