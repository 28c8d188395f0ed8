// SPDX-License-Identifier: Apache-2.0

//go:build linux

package debian

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	debianMirror         = "http://deb.debian.org/debian"
	debianSecurityMirror = "http://deb.debian.org/debian-security"
	debianArchive        = "http://archive.debian.org/debian"
	debianArchiveSec     = "http://archive.debian.org/debian-security"
)

// aptSource is one URI with its suites, of a host's apt configuration.
type aptSource struct {
	uri        string
	suites     []string
	components []string
	signedBy   string
}

// debianMirrors are where to look for Debian's suites: the host's mirrors
// first, in the host's order.
type debianMirrors struct {
	main, security []string
}

// hostDebianMirrors reads the host's list and its folder of lists; files
// that can't be read count as empty.
func hostDebianMirrors(sourceList, sourceParts string) debianMirrors {
	var all []aptSource
	paths := []string{sourceList}
	if entries, err := os.ReadDir(sourceParts); err == nil {
		for _, e := range entries {
			paths = append(paths, filepath.Join(sourceParts, e.Name()))
		}
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			continue
		}
		switch filepath.Ext(p) {
		case ".sources":
			all = append(all, parseDeb822Sources(string(b))...)
		case ".list":
			all = append(all, parseSourceList(string(b))...)
		}
	}
	return chooseMirrors(all)
}

// chooseMirrors picks the sources that are mirrors of Debian itself.
func chooseMirrors(sources []aptSource) debianMirrors {
	var m debianMirrors
	add := func(list *[]string, uri string) {
		if !slices.Contains(*list, uri) {
			*list = append(*list, uri)
		}
	}
	for _, s := range sources {
		if !isDebianSource(s) {
			continue
		}
		uri := strings.TrimRight(s.uri, "/")
		for _, suite := range s.suites {
			switch base, kind := splitSuite(suite); {
			case !isDebianCodename(base):
			case kind == "security":
				add(&m.security, uri)
			default:
				add(&m.main, uri)
			}
		}
	}
	add(&m.main, debianMirror)
	add(&m.security, debianSecurityMirror)
	return m
}

// isDebianSource tells Debian's mirrors from other repositories that use
// Debian's code names for suites. A wrong guess costs one failed request:
// what such a repository offers is not signed with Debian's keys.
func isDebianSource(s aptSource) bool {
	u, err := url.Parse(s.uri)
	if err != nil || !slices.Contains(s.components, "main") {
		return false
	}
	// Sources lists of ours separate by white space and brackets.
	if strings.ContainsAny(s.uri, " \t\r\n[]\"") {
		return false
	}
	switch u.Scheme {
	case "http", "https", "ftp", "file", "mirror", "mirror+http", "mirror+https", "mirror+file", "tor+http", "tor+https":
	default:
		return false
	}
	if host := u.Hostname(); host == "debian.org" || strings.HasSuffix(host, ".debian.org") {
		return true
	}
	ours := s.signedBy == "" || strings.Contains(s.signedBy, "debian-archive")
	return ours && strings.Contains(u.Host+u.Path, "debian")
}

// splitSuite takes "bookworm-security" and "buster/updates" apart.
func splitSuite(suite string) (base, kind string) {
	suite = strings.TrimRight(suite, "/")
	if base, ok := strings.CutSuffix(suite, "/updates"); ok {
		return base, "security"
	}
	base, kind, _ = strings.Cut(suite, "-")
	return base, kind
}

func isDebianCodename(s string) bool {
	switch s {
	case "buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid",
		"oldoldstable", "oldstable", "stable", "testing", "unstable":
		return true
	}
	return false
}

// forSuite returns the mirrors to try for a suite, in order.
func (m debianMirrors) forSuite(suite string) []string {
	base, kind := splitSuite(suite)
	list, archive := m.main, debianArchive
	if kind == "security" {
		list, archive = m.security, debianArchiveSec
	}
	list = slices.Clone(list)
	if isArchivedSuite(base) {
		list = append(list, archive)
	}
	return list
}

// isArchivedSuite tells suites that Debian may have moved to its archive:
// nothing is added to them any more, and their Release files expire.
func isArchivedSuite(base string) bool { return base == "bullseye" }

// parseSourceList reads the one-line format of sources.list(5).
func parseSourceList(text string) []aptSource {
	var out []aptSource
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		kind, rest, ok := strings.Cut(strings.ReplaceAll(strings.TrimSpace(line), "\t", " "), " ")
		if !ok || kind != "deb" {
			continue
		}
		var s aptSource
		if rest = strings.TrimSpace(rest); strings.HasPrefix(rest, "[") {
			var options string
			if options, rest, ok = strings.Cut(rest[1:], "]"); !ok {
				continue
			}
			for _, o := range strings.Fields(options) {
				if v, ok := strings.CutPrefix(o, "signed-by="); ok {
					s.signedBy = v
				}
			}
		}
		fields := strings.Fields(rest)
		if len(fields) < 3 {
			continue
		}
		s.uri, s.suites, s.components = fields[0], fields[1:2], fields[2:]
		out = append(out, s)
	}
	return out
}

// parseDeb822Sources reads the format of *.sources files.
func parseDeb822Sources(text string) []aptSource {
	var out []aptSource
	flush := func(f map[string]string) {
		if !slices.Contains(strings.Fields(f["types"]), "deb") || isNo(f["enabled"]) {
			return
		}
		for _, uri := range strings.Fields(f["uris"]) {
			out = append(out, aptSource{
				uri:        uri,
				suites:     strings.Fields(f["suites"]),
				components: strings.Fields(f["components"]),
				signedBy:   strings.TrimSpace(f["signed-by"]),
			})
		}
	}
	fields, last := map[string]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case line == "":
			flush(fields)
			fields, last = map[string]string{}, ""
		case line[0] == ' ' || line[0] == '\t':
			if last != "" {
				fields[last] += "\n" + strings.TrimSpace(line)
			}
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				last = ""
				continue
			}
			last = strings.ToLower(name)
			fields[last] = strings.TrimSpace(value)
		}
	}
	flush(fields)
	return out
}

func isNo(s string) bool {
	switch strings.ToLower(s) {
	case "no", "false", "without", "off", "disable", "0":
		return true
	}
	return false
}

// shortDigest names a folder after a mirror.
func shortDigest(uri string) string {
	sum := sha256.Sum256([]byte(uri))
	return hex.EncodeToString(sum[:4])
}

// redactURI takes the password out of a mirror's URI.
func redactURI(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Redacted()
}
