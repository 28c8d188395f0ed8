// SPDX-License-Identifier: Apache-2.0

package results

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/klauspost/compress/zstd"
	"github.com/mapprof/mapprof/internal/regularfile"
	"github.com/mapprof/mapprof/internal/shownpath"
	"github.com/mapprof/mapprof/results/jsonsize"
	"github.com/mapprof/mapprof/results/unfinished"
)

// Names of the files in a run directory.
const (
	RunFile        = "run.json"
	HistogramsFile = "histograms.hlog"
	ProfileFile    = "profile.pb.gz"
	DeathsFile     = "deaths.jsonl.zst"
)

// Files are the files that a run directory may have, run.json last: with it the
// directory is whole.
func Files() []string { return []string{HistogramsFile, ProfileFile, DeathsFile, RunFile} }

// unfinishedFiles are the files that a directory may have before its run is whole.
func unfinishedFiles() []string {
	return append(Files(), RunFile+nextSuffix, ProfileFile+nextSuffix)
}

// Abandoned lists what runs that were killed left in a directory, under their temporary
// names. The next Create there removes it.
func Abandoned(parent string) []string { return unfinished.Abandoned(parent, unfinishedFiles()) }

// Limits on what a reader takes from a file: a run directory may come from a
// stranger. They are far above what mapprof writes.
const (
	maxRunBytes   = 128 << 20
	maxDeathLine  = 64 << 10
	maxZstdWindow = 16 << 20
)

// ErrNotRun is returned by Open for a directory without a run.json.
var ErrNotRun = errors.New("not a run directory")

// SchemaError is returned for a run.json of a version that this program
// doesn't know.
type SchemaError struct{ Got, Max int }

func (e *SchemaError) Error() string {
	if e.Got > e.Max {
		return fmt.Sprintf("run.json has schema version %d, this mapprof reads up to %d (use a newer mapprof)", e.Got, e.Max)
	}
	return fmt.Sprintf("run.json has schema version %d, which never existed (is the file damaged?)", e.Got)
}

// CorruptError is returned for a file that can't be what it should be.
type CorruptError struct {
	File string
	Err  error
	Hint string // of what may have happened; empty: it is damaged or truncated
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("read %s: %v (%s)", e.File, e.Err, cmp.Or(e.Hint, "the file is damaged or truncated"))
}

func (e *CorruptError) Unwrap() error { return e.Err }

// Writer writes a run directory under a temporary name; Finish gives it its
// own. One goroutine at a time.
type Writer struct {
	dir, tmp string
	parent   string   // made by Create; empty: it was there
	lock     *os.File // of tmp, while this process lives
	journal  bool     // tmp is dir: there was a Checkpoint
	deaths   *os.File
	lines    *DeathsWriter // of deaths
	log      *os.File
	hlog     *HistogramsWriter // of log
	files    map[string]File   // that are written
}

// Create starts a run directory at dir, which must not exist. Its parent is
// made where missing.
func Create(dir string) (*Writer, error) {
	dir = filepath.Clean(dir)
	if _, err := os.Lstat(dir); err == nil {
		return nil, fmt.Errorf("create run directory %s: it exists (choose another with -o, or remove it)", dir)
	}
	parent, made := filepath.Dir(dir), ""
	if _, err := os.Lstat(parent); errors.Is(err, os.ErrNotExist) {
		made = parent
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("create run directory: %w", err)
	}
	tmp, lock, err := unfinished.Make(dir, unfinishedFiles())
	if err != nil {
		return nil, err
	}
	return &Writer{dir: dir, tmp: tmp, parent: made, lock: lock, files: map[string]File{}}, nil
}

// Death appends one line to deaths.jsonl.zst, which exists only when there
// was at least one call of Death or KeepDeaths.
func (w *Writer) Death(d *Death) (err error) {
	defer w.name(&err, w.tmp)
	if err := w.KeepDeaths(); err != nil {
		return err
	}
	return w.lines.Death(d)
}

// name makes an error name the run directory, and not the temporary one.
func (w *Writer) name(err *error, tmp string) { *err = shownpath.In(*err, tmp, w.dir) }

// KeepDeaths makes sure that deaths.jsonl.zst exists, be it empty.
func (w *Writer) KeepDeaths() (err error) {
	defer w.name(&err, w.tmp)
	if w.deaths != nil {
		return nil
	}
	f, err := os.Create(filepath.Join(w.tmp, DeathsFile))
	if err != nil {
		return fmt.Errorf("write deaths: %w", err)
	}
	lines, err := NewDeathsWriter(f)
	if err != nil {
		f.Close()
		return err
	}
	w.deaths, w.lines = f, lines
	return nil
}

// Profile writes profile.pb.gz from bytes that are a whole gzipped profile.
func (w *Writer) Profile(gz []byte) (err error) {
	defer w.name(&err, w.tmp)
	name := ProfileFile
	if w.journal { // until run.json is the one that it belongs to
		name += nextSuffix
	}
	if err := writeFile(filepath.Join(w.tmp, name), gz); err != nil {
		return err
	}
	w.files[ProfileFile] = fileOf(gz)
	return nil
}

// List makes run.json list a file that others bring into the directory, as f says.
func (w *Writer) List(name string, f File) { w.files[name] = f }

// Finish closes everything, writes run.json with the digests of the other files,
// and renames the directory to its own name. After an error nothing is left, but
// for a journal as its last Checkpoint made it.
func (w *Writer) Finish(run *Run) (err error) {
	defer w.name(&err, w.tmp)
	defer func() {
		if err != nil {
			w.Abort()
		}
	}()
	if err := w.closeStreams(); err != nil {
		return fmt.Errorf("write run directory: %w", err)
	}
	run.Journal = false
	if err := w.commit(run, w.files); err != nil {
		return err
	}
	if w.journal {
		w.tmp = ""
		return errors.Join(os.Remove(filepath.Join(w.dir, JournalFile)), closeLock(w.lock), unfinished.SyncDir(w.dir))
	}
	if err := w.rename(); err != nil {
		return err
	}
	w.tmp = ""
	// Not before: a process that is killed here leaves a whole run.
	return errors.Join(os.Remove(filepath.Join(w.dir, unfinished.Marker)), closeLock(w.lock), unfinished.SyncDir(filepath.Dir(w.dir)))
}

// commit writes run.json, which makes files those of the run.
func (w *Writer) commit(run *Run, files map[string]File) error {
	run.SchemaVersion, run.Files = SchemaVersion, files
	if run.Warnings == nil {
		run.Warnings = []string{}
	}
	if run.Loss == nil {
		run.Loss = map[string]uint64{}
	}
	data, err := json.MarshalIndent(run, "", "  ")
	if err != nil {
		return fmt.Errorf("write run.json: %w", err)
	}
	name := filepath.Join(w.tmp, RunFile)
	if err := writeFile(name+nextSuffix, append(data, '\n')); err != nil {
		return err
	}
	if err := os.Rename(name+nextSuffix, name); err != nil {
		return err
	}
	if w.journal {
		if err := os.Rename(filepath.Join(w.tmp, ProfileFile+nextSuffix), filepath.Join(w.tmp, ProfileFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return unfinished.SyncDir(w.tmp)
}

// rename gives the directory its own name.
func (w *Writer) rename() error {
	if err := os.Chmod(w.tmp, 0o755); err != nil {
		return err
	}
	// rename(2) replaces an empty directory; Create saw none, and one that
	// came since makes this fail when it has content.
	if err := os.Rename(w.tmp, w.dir); err != nil {
		return fmt.Errorf("finish run directory: %w", err)
	}
	return nil
}

// Abort removes what was written, but not a journal. It may be called after Finish,
// and twice.
func (w *Writer) Abort() {
	_ = w.closeStreams()
	switch {
	case w.tmp == "":
	case w.journal:
		_ = closeLock(w.lock)
		w.tmp = ""
	default:
		_ = os.RemoveAll(w.tmp)
		_ = closeLock(w.lock)
		w.tmp = ""
		if w.parent != "" {
			_ = os.Remove(w.parent) // unless there is something in it
		}
	}
}

// closeLock releases a lock, where there are locks.
func closeLock(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

func (w *Writer) closeStreams() error {
	var errs []error
	if w.deaths != nil {
		errs = append(errs, w.lines.Close(), w.deaths.Sync(), w.deaths.Close())
		w.files[DeathsFile] = w.lines.File()
		w.deaths = nil
	}
	if w.log != nil {
		errs = append(errs, w.hlog.Flush(), w.log.Sync(), w.log.Close())
		w.files[HistogramsFile] = w.hlog.File()
		w.log = nil
	}
	return errors.Join(errs...)
}

func writeFile(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// Dir is an opened run directory.
type Dir struct {
	Path string
	Run  *Run

	damage map[string]error  // of files other than run.json
	names  map[string]string // of files that have another one than theirs
}

// Open reads run.json of a run directory, and checks its version and that every
// other file is the one that it was written with.
func Open(path string) (*Dir, error) {
	d, err := Inspect(path)
	if err != nil {
		return nil, err
	}
	for _, name := range boundFiles() {
		if err := d.Damage(name); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Inspect is Open for those who show what is intact of a damaged run. Only a
// run.json that can't be read is an error. Damage tells of the other files, and
// those that are damaged are not read.
func Inspect(path string) (*Dir, error) {
	for try := 0; ; try++ {
		run, err := ReadRun(path)
		if err != nil {
			return nil, err
		}
		d := &Dir{Path: path, Run: run, damage: map[string]error{}, names: map[string]string{}}
		damaged := false
		for _, name := range boundFiles() {
			d.damage[name] = d.check(name)
			damaged = damaged || d.damage[name] != nil
		}
		// A journal may have come to its next interval meanwhile.
		if !damaged || !run.Journal || try == 2 {
			return d, nil
		}
	}
}

// file is the path of one of the run's files.
func (d *Dir) file(name string) string { return filepath.Join(d.Path, cmp.Or(d.names[name], name)) }

// Damage says what is wrong with a file other than run.json: nothing, that it
// can't be read, or a CorruptError.
func (d *Dir) Damage(name string) error { return d.damage[name] }

// ReadRun reads run.json of a run directory, and looks at no other file.
func ReadRun(path string) (*Run, error) {
	name := filepath.Join(path, RunFile)
	f, err := regularfile.Open(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if _, serr := os.Stat(path); serr != nil {
			return nil, fmt.Errorf("open run %s: no such directory", path)
		}
		return nil, fmt.Errorf("open run %s: %w (it has no %s)", path, ErrNotRun, RunFile)
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("open run %s: %w (no directory; give the one that holds %s)", path, ErrNotRun, RunFile)
	case err != nil:
		return nil, fmt.Errorf("open run: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRunBytes+1))
	if err != nil {
		return nil, fmt.Errorf("open run: %w", err)
	}
	run, err := DecodeRun(data)
	var schema *SchemaError
	switch {
	case errors.As(err, &schema):
		return nil, fmt.Errorf("open run %s: %w", path, err)
	case err != nil:
		corrupt := &CorruptError{File: name, Err: err}
		if field := new(FieldError); errors.As(err, &field) {
			corrupt.Hint = "no mapprof writes this"
		}
		return nil, corrupt
	}
	return run, nil
}

// DecodeRun decodes the bytes of a run.json, and checks its version and that
// it can be what it says.
func DecodeRun(data []byte) (*Run, error) {
	if len(data) > maxRunBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxRunBytes)
	}
	if err := jsonsize.Check(data); err != nil {
		return nil, err
	}
	var v struct {
		SchemaVersion *int `json:"schema_version"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	if v.SchemaVersion == nil {
		return nil, errors.New("no schema_version")
	}
	if *v.SchemaVersion < 1 || *v.SchemaVersion > SchemaVersion {
		return nil, &SchemaError{Got: *v.SchemaVersion, Max: SchemaVersion}
	}
	run := new(Run)
	if err := json.Unmarshal(data, run); err != nil {
		return nil, err
	}
	return run, run.check()
}

// Deaths calls f for every death, in the order of the file. A run without
// deaths.jsonl.zst (--no-deaths) gives an error that is os.ErrNotExist.
// f must not keep d.
func (d *Dir) Deaths(f func(d *Death) error) error {
	if err := d.Damage(DeathsFile); err != nil {
		return err
	}
	return d.readDeaths(f)
}

func (d *Dir) readDeaths(f func(d *Death) error) error { return d.readDeathsFrom(0, f) }

func (d *Dir) readDeathsFrom(at int64, f func(d *Death) error) error {
	file, err := d.open(DeathsFile, at)
	if err != nil {
		return fmt.Errorf("read deaths: %w", err)
	}
	defer file.Close()
	var own error // f's, which is no fault of the file
	err = DecodeDeaths(file, func(death *Death) error {
		own = f(death)
		return own
	})
	if err != nil && own == nil {
		return &CorruptError{File: filepath.Join(d.Path, DeathsFile), Err: err}
	}
	return err
}

// DecodeDeaths reads the zstd-compressed lines of a deaths file. f must not keep d.
func DecodeDeaths(r io.Reader, f func(d *Death) error) error {
	zr, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer zr.Close()
	sc := bufio.NewScanner(zr)
	sc.Buffer(make([]byte, 0, maxDeathLine), maxDeathLine)
	lines := newDeathLines()
	var death Death
	for n := 1; sc.Scan(); n++ {
		if err := lines.decode(sc.Bytes(), &death); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := death.check(); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := f(&death); err != nil {
			return err
		}
	}
	return sc.Err()
}

// OpenProfile opens the run's pprof profile. A run without one gives an error
// that is os.ErrNotExist.
func (d *Dir) OpenProfile() (*os.File, error) {
	if err := d.Damage(ProfileFile); err != nil {
		return nil, err
	}
	return regularfile.Open(d.ProfilePath())
}

// ProfilePath returns the path of the run's pprof profile.
func (d *Dir) ProfilePath() string { return d.file(ProfileFile) }
