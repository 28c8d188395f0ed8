// SPDX-License-Identifier: Apache-2.0

//go:build linux

package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/machine"
)

// cannedIndex is the archive as apt-cache dumpavail printed it, cut to the
// kernel packages and a few others.
func cannedIndex(t *testing.T) *kernels.Index {
	t.Helper()
	ix := &kernels.Index{}
	for _, suite := range []string{"bullseye-security", "bookworm-security", "trixie-backports"} {
		f, err := os.Open(filepath.Join("testdata", "dumpavail-"+suite+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		packages, modules, err := parsePackages(f, suite, "amd64")
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		ix.Modules = append(ix.Modules, modules...)
		for _, p := range packages {
			p.Rank = packageRank(p.Name)
			ix.Packages = append(ix.Packages, p)
		}
	}
	return ix
}

func TestCandidates(t *testing.T) {
	ix := cannedIndex(t)
	// A package of modules is no candidate for an image.
	if m := ix.Modules; len(m) != 1 || m[0].Release != "7.2.12+deb13-cloud-amd64" || m[0].Version != "7.2.12-1~bpo13+1" || m[0].Suite != "trixie-backports" {
		t.Errorf("packages of modules: %+v", m)
	}
	want := []string{"5.10", "6.1", "6.12", "6.16", "6.17", "6.18", "6.19", "7.0", "7.1", "7.2", "7.3"}
	if got := ix.Series(); !slices.Equal(got, want) {
		t.Errorf("series %v, want %v", got, want)
	}
	for _, tc := range []struct{ name, pkg, version, suite string }{
		{"5.10", "linux-image-5.10.0-46-cloud-amd64", "5.10.262-1", "bullseye-security"},
		{"6.1", "linux-image-6.1.0-56-cloud-amd64", "6.1.192-2", "bookworm-security"},
		{"6.12", "linux-image-6.12.117+deb12-cloud-amd64", "6.12.117-1~deb12u1", "bookworm-security"},
		{"6.18", "linux-image-6.18.15+deb13-cloud-amd64", "6.18.15-1~bpo13+1", "trixie-backports"},
		{"6.19", "linux-binary-6.19.14+deb13-cloud-amd64", "6.19.14-1~bpo13+1", "trixie-backports"},
		{"7.2", "linux-binary-7.2.12+deb13-cloud-amd64", "7.2.12-1~bpo13+1", "trixie-backports"},
		{"7.3", "linux-binary-unsigned-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1", "trixie-backports"},
		{"7.2.9", "linux-binary-7.2.9+deb13-cloud-amd64", "7.2.9-1~bpo13+1", "trixie-backports"},
		{"6.1.192-1", "linux-image-6.1.0-55-cloud-amd64", "6.1.192-1", "bookworm-security"},
		{"6.1.0-54-cloud-amd64", "linux-image-6.1.0-54-cloud-amd64", "6.1.190-1", "bookworm-security"},
	} {
		c := ix.Candidates(tc.name)
		if len(c) == 0 {
			t.Errorf("%s: no candidates", tc.name)
			continue
		}
		if p := c[0]; p.Name != tc.pkg || p.Version != tc.version || p.Suite != tc.suite {
			t.Errorf("%s: %s %s from %s, want %s %s from %s", tc.name, p.Name, p.Version, p.Suite, tc.pkg, tc.version, tc.suite)
		}
	}
	for _, name := range []string{"9.9", "6.1.0", "6", "7.2.1", "cloud-amd64"} {
		if c := ix.Candidates(name); len(c) != 0 {
			t.Errorf("%s: %d candidates, first %s", name, len(c), c[0].Name)
		}
	}
	for _, p := range ix.Packages {
		if strings.HasSuffix(p.Name, "-dbg") || p.SizeBytes < minKernelPackageBytes {
			t.Errorf("%s holds no image", p.Name)
		}
	}
}

func TestKernelPackageRefusesStrangeFields(t *testing.T) {
	sound := map[string]string{
		"Package": "linux-image-6.1.0-1-cloud-amd64", "Version": "6.1.5-1", "Architecture": "amd64",
		"Size": "20000000", "SHA256": strings.Repeat("a", 64),
	}
	if _, ok := kernelPackage(sound, "x", "amd64"); !ok {
		t.Fatal("a sound package is refused")
	}
	for field, value := range map[string]string{
		"Package":      "linux-image-6.1.0-1/../x-cloud-amd64",
		"Version":      "6.1/../../x-1",
		"Architecture": "arm64",
		"Size":         "-1",
		"SHA256":       "",
	} {
		f := map[string]string{}
		for k, v := range sound {
			f[k] = v
		}
		f[field] = value
		if p, ok := kernelPackage(f, "x", "amd64"); ok {
			t.Errorf("%s %q accepted: %+v", field, value, p)
		}
	}
}

func TestReadAptMessages(t *testing.T) {
	for _, tc := range []struct {
		messages, detail string
		signature        bool
	}{
		{"E: The repository 'http://x bullseye Release' does not have a Release file.\n", "The repository 'http://x bullseye Release' does not have a Release file.", false},
		{"W: GPG error: http://x trixie InRelease: NO_PUBKEY 6ED0\nE: The repository 'http://x trixie InRelease' is not signed.\n", "GPG error: http://x trixie InRelease: NO_PUBKEY 6ED0", true},
		{"E: Some index files failed to download.\nW: An error occurred during the signature verification.\n", "An error occurred during the signature verification.", true},
		{"E: bad\x1b[2Jthing\n", "bad [2Jthing", false},
		{"E: " + strings.Repeat("é", 400), strings.Repeat("é", 300) + "…", false},
		{"", "", false},
	} {
		detail, signature := readAptMessages(tc.messages)
		if detail != tc.detail || signature != tc.signature {
			t.Errorf("%q: %q, %v", tc.messages, detail, signature)
		}
	}
}

func TestWithoutApt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := kernels.Resolve(context.Background(), "6.12", kernels.Options{CacheDir: t.TempDir()})
	var ae *AptError
	if !errors.As(err, &ae) || !strings.Contains(err.Error(), "is not installed (") {
		t.Errorf("error %v", err)
	}
	list, err := kernels.List(context.Background(), kernels.Options{CacheDir: t.TempDir()})
	if err != nil || len(list.Notes) != 1 || !strings.Contains(list.Notes[0], "is not installed") {
		t.Errorf("list %+v, %v", list, err)
	}
}

// TestUnsignedArchiveIsRefused runs the real apt on an archive on disk that
// nobody signed, with a host configuration that would allow it.
func TestUnsignedArchiveIsRefused(t *testing.T) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("no apt-get: not a Debian system")
	}
	tools, err := findApt()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	lax := filepath.Join(dir, "lax.conf")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	hook := filepath.Join(dir, "hook")
	write(lax, `Acquire::AllowInsecureRepositories "true";
APT::Get::AllowUnauthenticated "true";
APT::Update::Pre-Invoke { "touch `+hook+`"; };
`)
	t.Setenv("APT_CONFIG", lax)
	repo := filepath.Join(dir, "repo")
	binary := filepath.Join(repo, "dists", "trixie", "main", "binary-amd64")
	write(filepath.Join(binary, "Packages"), "Package: linux-image-6.99.1-cloud-amd64\nVersion: 6.99.1-1\nArchitecture: amd64\n\n")
	write(filepath.Join(repo, "dists", "trixie", "Release"), "Origin: Debian\nSuite: trixie\nCodename: trixie\nArchitectures: amd64\nComponents: main\n")

	s := &aptSuite{apt: tools, dir: filepath.Join(dir, "state"), suite: "trixie", arch: "amd64", uri: "file:" + repo}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = s.refresh(ctx)
	var se *SignatureError
	if !errors.As(err, &se) {
		t.Errorf("error %v, want *SignatureError", err)
	}
	if _, err := s.readIndex(); err == nil {
		t.Error("an index was kept")
	}
	if _, err := os.Stat(hook); err == nil {
		t.Error("the host's hook was run")
	}

	suite, _, err := suiteIndexOf(ctx, tools, filepath.Join(dir, "cache"), "trixie", machine.Here(), []string{s.uri, "file:/nowhere"}, time.Hour, func() {})
	if suite != nil || !errors.As(err, &se) {
		t.Errorf("suite %v, error %v, want *SignatureError", suite, err)
	}
	s.uri = "file:" + filepath.Join(dir, "nowhere")
	var ae *AptError
	if _, err := s.refresh(ctx); !errors.As(err, &ae) {
		t.Errorf("error %v, want *AptError", err)
	}
}

// TestOlderIndexServes: if no mirror answers, the last good index does.
func TestOlderIndexServes(t *testing.T) {
	tools := &apt{get: "/bin/false", cache: "/bin/false", config: "/bin/false", keyring: "/none"}
	kind, err := machine.Of("amd64")
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	uri := "http://mirror.invalid/debian"
	dir := filepath.Join(cache, "apt", "trixie-"+shortDigest(uri))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour).UTC().Format(time.RFC3339)
	text := fmt.Sprintf(`{"updated": %q, "packages": [{"name": "n", "version": "6.1.1-1"}]}`, old)
	if err := os.WriteFile(filepath.Join(dir, "kernels.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	suite, ix, err := suiteIndexOf(context.Background(), tools, cache, "trixie", kind, []string{"http://first.invalid", uri}, time.Hour, func() {})
	if suite == nil || suite.uri != uri || len(ix.Packages) != 1 || err == nil {
		t.Errorf("suite %+v, index %+v, error %v", suite, ix, err)
	}
	updating := false
	_, ix, err = suiteIndexOf(context.Background(), tools, cache, "trixie", kind, []string{uri}, 72*time.Hour, func() { updating = true })
	if err != nil || updating || len(ix.Packages) != 1 {
		t.Errorf("a young index was not used: %v", err)
	}
}
