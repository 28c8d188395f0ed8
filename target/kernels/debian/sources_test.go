// SPDX-License-Identifier: Apache-2.0

//go:build linux

package debian

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestHostDebianMirrors(t *testing.T) {
	for _, tc := range []struct {
		name           string
		files          map[string]string // in sources.list.d; "" is sources.list
		main, security []string
	}{
		{
			name:     "nothing",
			main:     []string{debianMirror},
			security: []string{debianSecurityMirror},
		},
		{
			name: "deb822 of a fresh installation",
			files: map[string]string{"debian.sources": `# a comment
Types: deb deb-src
URIs: http://mirror.example.org/debian/
Suites: bookworm bookworm-updates
# in between
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.example.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`},
			main:     []string{"http://mirror.example.org/debian", debianMirror},
			security: []string{"http://security.example.org/debian-security", debianSecurityMirror},
		},
		{
			name: "deb822 over several lines, and a source that is off",
			files: map[string]string{"a.sources": "Types: deb\nURIs:\n https://one.example/debian\n https://two.example/debian\nSuites: trixie\nComponents:\n main\n\n" +
				"Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\n"},
			main:     []string{"https://one.example/debian", "https://two.example/debian", debianMirror},
			security: []string{debianSecurityMirror},
		},
		{
			name: "one line each",
			files: map[string]string{"": "deb [ arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] http://a.example/debian bullseye main # why\n" +
				"deb\thttp://sec.example/debian-security\tbullseye-security\tmain\n" +
				"deb-src http://src.example/debian bullseye main\n" +
				"#deb http://off.example/debian bullseye main\n" +
				"deb [broken http://b.example/debian bullseye main\n" +
				"deb http://c.example/debian\n"},
			main:     []string{"http://a.example/debian", debianMirror},
			security: []string{"http://sec.example/debian-security", debianSecurityMirror},
		},
		{
			name: "mirror list of a cloud image",
			files: map[string]string{"m.sources": "Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian.list\nSuites: bookworm bookworm-backports\nComponents: main\n\n" +
				"Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian-security.list\nSuites: bookworm-security\nComponents: main\n"},
			main:     []string{"mirror+file:///etc/apt/mirrors/debian.list", debianMirror},
			security: []string{"mirror+file:///etc/apt/mirrors/debian-security.list", debianSecurityMirror},
		},
		{
			name: "others that use Debian's code names",
			files: map[string]string{"o.list": "deb [signed-by=/usr/share/keyrings/vpn.gpg] https://pkgs.vpn.example/stable/debian bookworm main\n" +
				"deb https://apt.tools.example bookworm main\n" +
				"deb https://download.box.example/linux/debian bookworm stable\n" +
				"deb cdrom:[Debian]/ bookworm main\n" +
				"deb http://archive.ubuntu.com/ubuntu jammy main\n" +
				"deb http://x.example/debian-pg bookworm-pgdg contrib\n",
				"ignored.bak": "deb http://bak.example/debian bookworm main\n"},
			main:     []string{debianMirror},
			security: []string{debianSecurityMirror},
		},
		{
			name:     "the default named",
			files:    map[string]string{"": "deb http://deb.debian.org/debian stable main\ndeb http://security.debian.org/debian-security stable/updates main\n"},
			main:     []string{debianMirror},
			security: []string{"http://security.debian.org/debian-security", debianSecurityMirror},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			list, parts := filepath.Join(dir, "sources.list"), filepath.Join(dir, "sources.list.d")
			if err := os.Mkdir(parts, 0o755); err != nil {
				t.Fatal(err)
			}
			for name, text := range tc.files {
				path := list
				if name != "" {
					path = filepath.Join(parts, name)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			m := hostDebianMirrors(list, parts)
			if !slices.Equal(m.main, tc.main) {
				t.Errorf("main %q, want %q", m.main, tc.main)
			}
			if !slices.Equal(m.security, tc.security) {
				t.Errorf("security %q, want %q", m.security, tc.security)
			}
		})
	}
}

func TestMirrorsForSuite(t *testing.T) {
	m := debianMirrors{main: []string{"m"}, security: []string{"s"}}
	for suite, want := range map[string][]string{
		"trixie":            {"m"},
		"trixie-backports":  {"m"},
		"bookworm-security": {"s"},
		"bullseye":          {"m", debianArchive},
		"bullseye-security": {"s", debianArchiveSec},
	} {
		if got := m.forSuite(suite); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", suite, got, want)
		}
	}
}
