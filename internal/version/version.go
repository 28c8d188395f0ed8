// SPDX-License-Identifier: Apache-2.0

package version

import (
	_ "embed"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
)

// releaseLine is the release that is being worked on. It is the tag of a build
// that no tag belongs to.
const releaseLine = "v0.10.0-dev"

const modulePath = "github.com/mapprof/mapprof"

// What the linker was told:
//
//	go build -ldflags "-X github.com/mapprof/mapprof/internal/version.tag=v0.10.0"
//
// commit is the whole hash, date is RFC 3339, modified is "true" or empty.
var tag, commit, date, modified string

// archive is replaced by git archive, as .gitattributes tells it to.
//
//go:embed archive.txt
var archive string

// Info is which mapprof this is. A field that nobody knows is empty.
type Info struct {
	Tag      string // of the release, or of the release line
	Commit   string // whole hash, or the twelve digits that a module's version has
	Date     time.Time
	Modified bool // files differed from the commit's
}

// Get returns the version of the program that calls it. In a program of others,
// which only imports mapprof's packages, it is that of mapprof's module.
func Get() Info {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{}
	}
	return merge(fromLinker(), fromBuild(build), fromArchive(archive), Info{Tag: releaseLine})
}

// String is the version on one line, as in "v0.10.0-dev (617eb27, 2026-11-25, modified)".
func (i Info) String() string {
	var known []string
	if i.Commit != "" {
		known = append(known, i.Commit[:min(7, len(i.Commit))])
	}
	if !i.Date.IsZero() {
		known = append(known, i.Date.UTC().Format(time.DateOnly))
	}
	if i.Modified {
		known = append(known, "modified")
	}
	if len(known) == 0 {
		return i.Tag
	}
	return i.Tag + " (" + strings.Join(known, ", ") + ")"
}

// merge takes the tag of the first source that has one. Commit, date and
// modified belong together: they are of the first source that has a commit.
func merge(sources ...Info) Info {
	var out Info
	for _, s := range sources {
		if out.Tag == "" {
			out.Tag = s.Tag
		}
		if out.Commit == "" && s.Commit != "" {
			out.Commit, out.Date, out.Modified = s.Commit, s.Date, s.Modified
		}
	}
	return out
}

func fromLinker() Info {
	return Info{Tag: tag, Commit: commit, Date: parseTime(date), Modified: modified == "true"}
}

// fromBuild reads what Go recorded: of the checkout where mapprof was built in
// one, of the module where it was downloaded.
func fromBuild(build *debug.BuildInfo) Info {
	module, isMain := &build.Main, build.Main.Path == modulePath
	if !isMain {
		module = nil
		for _, d := range build.Deps {
			if d.Path == modulePath {
				module = d
			}
		}
		if module == nil {
			return Info{}
		}
		if module.Replace != nil {
			module = module.Replace
		}
	}
	out := fromModule(module.Version)
	if !isMain {
		return out // the checkout is the other program's
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			out.Commit = s.Value
		case "vcs.time":
			out.Date = parseTime(s.Value)
		case "vcs.modified":
			out.Modified = s.Value == "true"
		}
	}
	return out
}

// pseudo is the end of a version that Go made up for a commit without a tag,
// such as v0.0.0-20261125203434-5c083047d1b2: its time in UTC and its hash.
var pseudo = regexp.MustCompile(`[-.](\d{14})-([0-9a-f]{12})$`)

// fromModule reads the version of a module: a tag, a made-up one, or "(devel)".
func fromModule(version string) Info {
	version, dirty := strings.CutSuffix(version, "+dirty")
	if m := pseudo.FindStringSubmatch(version); m != nil {
		when, err := time.Parse("20060102150405", m[1])
		if err != nil {
			return Info{}
		}
		return Info{Commit: m[2], Date: when, Modified: dirty}
	}
	if !strings.HasPrefix(version, "v") {
		return Info{}
	}
	return Info{Tag: version}
}

// exactly is what git describe says of a commit that a tag is on. Elsewhere it
// counts the commits since.
var (
	exactly  = regexp.MustCompile(`^v\d`)
	sinceTag = regexp.MustCompile(`-\d+-g[0-9a-f]+$`)
)

// fromArchive reads what git archive wrote: hash, time, git describe. In a
// checkout its $Format$ is not expanded.
func fromArchive(text string) Info {
	fields := strings.Fields(text)
	if len(fields) < 2 || strings.Contains(text, "$Format") {
		return Info{}
	}
	out := Info{Commit: fields[0], Date: parseTime(fields[1])}
	if len(fields) == 3 && exactly.MatchString(fields[2]) && !sinceTag.MatchString(fields[2]) {
		out.Tag = fields[2]
	}
	return out
}

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
