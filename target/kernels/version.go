// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/mapprof/mapprof/target/machine"
)

// CompareVersions orders two package versions as dpkg does
// (deb-version(7)): epoch, then upstream version, then revision.
func CompareVersions(a, b string) int {
	ae, au, ar := splitDebianVersion(a)
	be, bu, br := splitDebianVersion(b)
	return cmp.Or(compareVersionPart(ae, be), compareVersionPart(au, bu), compareVersionPart(ar, br))
}

// splitDebianVersion takes [epoch:]upstream[-revision] apart.
func splitDebianVersion(v string) (epoch, upstream, revision string) {
	upstream = v
	if e, rest, ok := strings.Cut(v, ":"); ok {
		epoch, upstream = e, rest
	}
	if i := strings.LastIndexByte(upstream, '-'); i >= 0 {
		upstream, revision = upstream[:i], upstream[i+1:]
	}
	return epoch, upstream, revision
}

// compareVersionPart compares by turns a run of non-digits, in which '~'
// sorts before the end and letters before the rest, and a number.
func compareVersionPart(a, b string) int {
	for a != "" || b != "" {
		for (a != "" && !isDigit(a[0])) || (b != "" && !isDigit(b[0])) {
			if c := cmp.Compare(versionRank(a), versionRank(b)); c != 0 {
				return c
			}
			// Equal ranks: the same non-digit on both sides, or neither
			// side has one, which the loop's condition excludes.
			a, b = a[1:], b[1:]
		}
		var an, bn string
		an, a = cutNumber(a)
		bn, b = cutNumber(b)
		if c := cmp.Or(cmp.Compare(len(an), len(bn)), cmp.Compare(an, bn)); c != 0 {
			return c
		}
	}
	return 0
}

// versionRank is the weight of s's first byte among non-digits.
func versionRank(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case s[0] >= 'A' && s[0] <= 'Z' || s[0] >= 'a' && s[0] <= 'z':
		return int(s[0])
	}
	return int(s[0]) + 256
}

// cutNumber splits s after its leading digits and drops leading zeros.
func cutNumber(s string) (number, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return strings.TrimLeft(s[:i], "0"), s[i:]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

var (
	arches     = strings.Join(machine.Names(), "|")
	upstreamRE = regexp.MustCompile(`^([0-9]{1,4}\.[0-9]{1,4})((?:\.[0-9]{1,6})?)(?:[~+.-]|$)`)

	// ImagePackage matches the packages that may hold an image. The
	// cloud flavour boots fastest in a virtual machine; up to 6.18 the
	// image is in linux-image-*, from 6.19 on in linux-binary-*. Packages
	// of debugging symbols (…-dbg) don't match.
	ImagePackage = regexp.MustCompile(`^linux-(image|binary|binary-unsigned)-([0-9]+\.[0-9]+[0-9A-Za-z.+~-]*-cloud-(?:` + arches + `))(-unsigned)?$`)
	// ModulesPackage matches the packages that hold modules alone, from 6.19 on.
	ModulesPackage = regexp.MustCompile(`^linux-modules-([0-9]+\.[0-9]+[0-9A-Za-z.+~-]*-cloud-(?:` + arches + `))$`)
)

// upstreamOf returns the kernel's own version in a package version:
// "6.12.117" of "6.12.117-1~deb12u1".
func upstreamOf(version string) string {
	_, upstream, _ := splitDebianVersion(version)
	m := upstreamRE.FindStringSubmatch(upstream)
	if m == nil {
		return ""
	}
	return m[1] + m[2]
}

// SeriesOf returns "6.12" of "6.12.117-1~deb12u1"; "" if it has none.
func SeriesOf(version string) string {
	_, upstream, _ := splitDebianVersion(version)
	m := upstreamRE.FindStringSubmatch(upstream)
	if m == nil {
		return ""
	}
	return m[1]
}

// cannotBe says why there is no kernel of that name, whatever an archive has;
// empty: there may be one. Asking an archive takes a minute.
func cannotBe(name string, now time.Time) string {
	var major, minor int
	if n, _ := fmt.Sscanf(SeriesOf(name), "%d.%d", &major, &minor); n != 2 {
		return ""
	}
	if major < 5 || major == 5 && minor < 10 {
		return "Linux 5.10 or newer is needed"
	}
	// A series takes nine weeks, and some twenty have the same first number. A
	// whole such number more than that is allowed, and the clock may be wrong.
	first := time.Date(2022, 10, 2, 0, 0, 0, 0, time.UTC) // 6.0
	elapsed := max(now.Sub(first), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Sub(first))
	const series = 9 * 7 * 24 * time.Hour
	if (major-6)*20+minor > int(elapsed/series)+20 {
		return "no such Linux is out yet"
	}
	return ""
}

// matchesKernel reports whether a kernel of that package version and release
// goes by name: its series, upstream version, package version or release.
func matchesKernel(name, version, release string) bool {
	return name == SeriesOf(version) || name == upstreamOf(version) || name == version || name == release
}
