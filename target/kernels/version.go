// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	"pault.ag/go/debian/version"

	"github.com/mapprof/mapprof/target/machine"
)

// CompareVersions orders two package versions as dpkg does
// (deb-version(7)): epoch, then upstream version, then revision.
func CompareVersions(a, b string) int {
	return cmp.Compare(version.Compare(debianVersion(a), debianVersion(b)), 0)
}

// debianVersion takes [epoch:]upstream[-revision] apart. What is no version is all
// upstream: the names of files in the cache are anybody's.
func debianVersion(s string) version.Version {
	v, err := version.Parse(s)
	if err != nil {
		return version.Version{Version: s}
	}
	return v
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
func upstreamOf(of string) string {
	m := upstreamRE.FindStringSubmatch(debianVersion(of).Version)
	if m == nil {
		return ""
	}
	return m[1] + m[2]
}

// SeriesOf returns "6.12" of "6.12.117-1~deb12u1"; "" if it has none.
func SeriesOf(of string) string {
	m := upstreamRE.FindStringSubmatch(debianVersion(of).Version)
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
