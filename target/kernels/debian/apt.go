// SPDX-License-Identifier: Apache-2.0

//go:build linux

package debian

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mapprof/mapprof/target/kernels"
	"golang.org/x/sys/unix"
)

// AptError says that apt, which fetches Debian's kernels, can't be used or
// failed.
type AptError struct {
	Action string
	Err    error
	Hint   string // may be empty

	gone bool // the archive does not have the file that its index names
}

func (e *AptError) Error() string {
	s := fmt.Sprintf("%s: %v", e.Action, e.Err)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func (e *AptError) Unwrap() error { return e.Err }

// Is makes it ErrGone where the archive lacks the package.
func (e *AptError) Is(other error) bool { return other == kernels.ErrGone && e.gone }

// SignatureError says that a suite of the archive, or a package from it, is
// not signed by a key that Debian's keyring holds. Nothing of it was used.
type SignatureError struct {
	Suite  string
	Detail string
}

func (e *SignatureError) Error() string {
	return fmt.Sprintf("check signature of Debian %s: %s (update the package debian-archive-keyring; if that is new, don't trust this mirror or network)",
		e.Suite, e.Detail)
}

const withoutApt = "kernels are fetched with Debian's apt; elsewhere give --kernel the path to a bzImage or a .deb"

// apt runs Debian's tools. It holds no state and may be shared.
type apt struct {
	get, cache, config string // paths of the programs
	keyring            string
}

// findApt looks for the programs and for Debian's keys.
func findApt() (*apt, error) {
	a := &apt{}
	for name, path := range map[string]*string{"apt-get": &a.get, "apt-cache": &a.cache, "apt-config": &a.config} {
		p, err := exec.LookPath(name)
		if err != nil {
			return nil, &AptError{Action: "fetch kernels", Err: fmt.Errorf("%s is not installed", name), Hint: withoutApt}
		}
		*path = p
	}
	for _, k := range []string{
		"/usr/share/keyrings/debian-archive-keyring.pgp",
		"/usr/share/keyrings/debian-archive-keyring.gpg",
	} {
		if _, err := os.Stat(k); err == nil {
			a.keyring = k
			return a, nil
		}
	}
	return nil, &AptError{Action: "fetch kernels", Err: errors.New("Debian's signing keys are not installed"),
		Hint: "apt-get install debian-archive-keyring, or give --kernel the path to a bzImage or a .deb"}
}

// mirrors reads the host's apt configuration.
func (a *apt) mirrors(ctx context.Context) debianMirrors {
	list, parts := "/etc/apt/sources.list", "/etc/apt/sources.list.d"
	out, err := a.run(ctx, a.config, "", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d")
	if err == nil {
		for line := range strings.Lines(string(out)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch value = strings.Trim(value, "'"); name {
			case "LIST":
				list = value
			case "PARTS":
				parts = value
			}
		}
	}
	return hostDebianMirrors(list, parts)
}

// aptSuite is apt's state for one suite at one mirror, in a folder of its
// own: neither the host's state nor another suite's failure touches it.
type aptSuite struct {
	apt   *apt
	dir   string
	suite string
	arch  string
	uri   string
}

func (s *aptSuite) conf() string { return filepath.Join(s.dir, "apt.conf") }

// setUp writes the suite's apt configuration. It is read after the host's,
// so that proxies, credentials and timeouts stay as the host has them;
// sources, keys, pins, state, caches and hooks are replaced.
func (s *aptSuite) setUp() error {
	for _, d := range []string{"lists/partial", "cache/archives/partial", "empty"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o755); err != nil {
			return err
		}
	}
	options := "arch=" + s.arch + " target=Packages signed-by=" + s.apt.keyring
	if base, _ := splitSuite(s.suite); isArchivedSuite(base) {
		options += " check-valid-until=no"
	}
	files := []struct {
		name, text string
		mode       os.FileMode
	}{
		{"status", "", 0o644},
		// A mirror's URI may hold the host's credentials.
		{"sources.list", fmt.Sprintf("deb [%s] %s %s main\n", options, s.uri, s.suite), 0o600},
		{"apt.conf", strings.NewReplacer("@DIR@", s.dir, "@ARCH@", s.arch).Replace(aptConf), 0o644},
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(s.dir, f.name), []byte(f.text), f.mode); err != nil {
			return err
		}
	}
	return nil
}

// aptConf is the configuration of setUp. Sandbox::User is root because the
// user _apt can't enter a cache folder in somebody's home; who is not root
// has no sandbox either way.
const aptConf = `Dir::State "@DIR@";
Dir::State::lists "@DIR@/lists";
Dir::State::status "@DIR@/status";
Dir::State::extended_states "@DIR@/extended_states";
Dir::Cache "@DIR@/cache";
Dir::Cache::archives "@DIR@/cache/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Etc::sourcelist "@DIR@/sources.list";
Dir::Etc::sourceparts "@DIR@/empty";
Dir::Etc::trusted "@DIR@/empty/none";
Dir::Etc::trustedparts "@DIR@/empty";
Dir::Etc::preferences "@DIR@/empty/none";
Dir::Etc::preferencesparts "@DIR@/empty";
Dir::Log "@DIR@";
APT::Sandbox::User "root";
APT::Architecture "@ARCH@";
#clear APT::Architectures;
APT::Architectures { "@ARCH@"; };
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::GzipIndexes "true";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Post-Invoke-Stats;
#clear AptCli::Hooks;
`

// update gets the suite's package index and checks its signature. A failure
// leaves the old index, if there is one, as it was.
func (s *aptSuite) update(ctx context.Context) error {
	if err := s.setUp(); err != nil {
		return fmt.Errorf("update index of Debian %s: %w", s.suite, err)
	}
	// One retry: apt waits ever longer between more, once per suite, and
	// who has no network is to hear of it soon.
	if _, err := s.run(ctx, s.apt.get, "", "-q", "-o", "Acquire::Retries=1", "update"); err != nil {
		return s.explain("update index of", err)
	}
	// apt exits with 0 for some sources that it skips, and calls a source
	// trusted that was checked, or that something told it not to check:
	// nothing here does the latter.
	out, err := s.run(ctx, s.apt.get, "", "indextargets", "--format", "$(CREATED_BY) $(TRUSTED)")
	if err != nil {
		return s.explain("update index of", err)
	}
	switch strings.TrimSpace(string(out)) {
	case "Packages yes":
		return nil
	case "":
		return &AptError{Action: "update index of Debian " + s.suite, Err: errors.New("the mirror has no such suite for " + s.arch)}
	}
	return &SignatureError{s.suite, "apt does not trust the index"}
}

// packages reads the kernel packages out of the suite's index.
func (s *aptSuite) packages(ctx context.Context) (images, modules []kernels.Package, err error) {
	out, err := s.run(ctx, s.apt.cache, "", "dumpavail")
	if err != nil {
		return nil, nil, s.explain("read index of", err)
	}
	return parsePackages(bytes.NewReader(out), s.suite, s.arch)
}

// download puts the package into the folder dir and returns its path.
func (s *aptSuite) download(ctx context.Context, p kernels.Package, dir string) (string, error) {
	if err := s.setUp(); err != nil {
		return "", fmt.Errorf("fetch %s: %w", p.Name, err)
	}
	if _, err := s.run(ctx, s.apt.get, dir, "-q", "download", p.Name+"="+p.Version); err != nil {
		return "", s.explain("fetch "+p.Name+" from", err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(found) != 1 {
		return "", &AptError{Action: "fetch " + p.Name, Err: fmt.Errorf("apt left %d packages instead of one", len(found))}
	}
	f, err := os.Open(found[0])
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", p.Name, err)
	}
	defer f.Close()
	// apt has compared it; this holds even if the host's apt was told not to.
	sum, err := kernels.HashFile(ctx, f)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", p.Name, err)
	}
	if sum != p.SHA256 {
		return "", &SignatureError{s.suite, p.Name + " differs from the digest in the signed index"}
	}
	return found[0], nil
}

func (s *aptSuite) run(ctx context.Context, program, dir string, args ...string) ([]byte, error) {
	return s.apt.run(ctx, program, dir, append([]string{"-c", s.conf()}, args...)...)
}

// aptOutputMax bounds what is kept of a tool's output: the index of a whole
// suite is some 60 MiB.
const aptOutputMax = 512 << 20

// toolError is a tool's exit status with its messages.
type toolError struct {
	err      error
	messages string
}

func (e *toolError) Error() string { return e.err.Error() }
func (e *toolError) Unwrap() error { return e.err }

// run runs a tool to its end and returns its standard output. When ctx ends,
// the tool and the processes it started are killed.
func (a *apt) run(ctx context.Context, program, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "LANGUAGE=C", "DEBIAN_FRONTEND=noninteractive")
	stdout := &cappedBuffer{left: aptOutputMax}
	stderr := &cappedBuffer{left: 64 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if ctxErr := ctx.Err(); ctxErr != nil {
		return nil, ctxErr
	}
	if err != nil {
		return nil, &toolError{err, stderr.String()}
	}
	if stdout.over {
		return nil, fmt.Errorf("%s wrote over %d MiB", filepath.Base(program), aptOutputMax>>20)
	}
	return stdout.Bytes(), nil
}

// cappedBuffer keeps the first left bytes and drops the rest.
type cappedBuffer struct {
	bytes.Buffer
	left int
	over bool
}

func (b *cappedBuffer) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.over = b.over || n < len(p)
	b.left -= n
	b.Buffer.Write(p[:n])
	return len(p), nil
}

// explain turns a tool's failure into one line.
func (s *aptSuite) explain(action string, err error) error {
	var te *toolError
	if !errors.As(err, &te) {
		return fmt.Errorf("%s Debian %s: %w", action, s.suite, err)
	}
	detail, signature := readAptMessages(te.messages)
	if signature {
		return &SignatureError{s.suite, detail}
	}
	if detail == "" {
		detail = te.Error()
	}
	return &AptError{Action: action + " Debian " + s.suite, Err: errors.New(detail), gone: strings.Contains(detail, " 404 ")}
}

// readAptMessages picks the line that says most, and whether it is about a
// signature. The text is shown: control characters are taken out.
func readAptMessages(messages string) (detail string, signature bool) {
	for line := range strings.Lines(messages) {
		line = strings.TrimSpace(strings.Map(func(r rune) rune {
			if strconv.IsPrint(r) {
				return r
			}
			return ' '
		}, line))
		about := false
		for _, sign := range []string{"GPG error", "NO_PUBKEY", "BADSIG", "EXPKEYSIG", "REVKEYSIG", "not signed",
			"signature", "could not be verified", "OpenPGP"} {
			about = about || strings.Contains(line, sign)
		}
		text, isError := strings.CutPrefix(line, "E: ")
		text = strings.TrimPrefix(text, "W: ")
		switch {
		case about && !signature:
			detail, signature = text, true
		case isError && detail == "":
			detail = text
		}
	}
	if r := []rune(detail); len(r) > 300 {
		detail = string(r[:300]) + "…"
	}
	return detail, signature
}

// minKernelPackageBytes tells packages with an image from those that only
// depend on one, of some 2 KB.
const minKernelPackageBytes = 1 << 20

// parsePackages picks the packages with kernels, and those with modules alone, out of an
// index in the format of Packages files, as apt-cache dumpavail prints it.
func parsePackages(r io.Reader, suite, arch string) (images, modules []kernels.Package, err error) {
	fields := map[string]string{}
	flush := func() {
		if p, ok := kernelPackage(fields, suite, arch); ok {
			images = append(images, p)
		}
		if m := kernels.ModulesPackage.FindStringSubmatch(fields["Package"]); m != nil {
			if p, ok := packageOf(fields, suite, arch, m[1]); ok {
				modules = append(modules, p)
			}
		}
		clear(fields)
	}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 4<<20)
	for sc.Scan() {
		line := sc.Text()
		if line == "" {
			flush()
			continue
		}
		switch name, value, _ := strings.Cut(line, ":"); name {
		case "Package", "Version", "Architecture", "Size", "SHA256":
			fields[name] = strings.TrimSpace(value)
		}
	}
	flush()
	if err := sc.Err(); err != nil {
		return nil, nil, fmt.Errorf("read index of Debian %s: %w", suite, err)
	}
	return images, modules, nil
}

func kernelPackage(f map[string]string, suite, arch string) (kernels.Package, bool) {
	m := kernels.ImagePackage.FindStringSubmatch(f["Package"])
	if m == nil {
		return kernels.Package{}, false
	}
	return packageOf(f, suite, arch, m[2])
}

func packageOf(f map[string]string, suite, arch, release string) (kernels.Package, bool) {
	size, err := strconv.ParseInt(f["Size"], 10, 64)
	if err != nil || size < minKernelPackageBytes || f["Architecture"] != arch ||
		!kernels.PlainName(strings.ReplaceAll(f["Version"], ":", "_")) || kernels.SeriesOf(f["Version"]) == "" || len(f["SHA256"]) != 64 {
		return kernels.Package{}, false
	}
	return kernels.Package{
		Name: f["Package"], Version: f["Version"], Release: release, Suite: suite,
		SizeBytes: size, SHA256: f["SHA256"],
	}, true
}
