// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

func testMeta() Meta {
	return Meta{
		Scenarios: map[string]ScenarioMeta{
			"churn-rcu": {Kernel: "6.12.117", StrategyRequested: "rcu"},
			"churn-tt":  {Kernel: "6.12.117", StrategyRequested: "tasks-trace"},
		},
		Started:  time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Duration: 5 * time.Second,
		Comments: []string{"command: mapprof run --workload churn"},
	}
}

func profileOf(deaths []results.Death, stacks map[string][]results.Frame) (*pprof.Profile, error) {
	b := NewBuilder()
	for i := range deaths {
		if err := b.Add(&deaths[i]); err != nil {
			return nil, err
		}
	}
	return b.Build(stacks, testMeta())
}

func build(t testing.TB, deaths []results.Death) *pprof.Profile {
	t.Helper()
	p, err := profileOf(deaths, synthetic.Stacks)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func totals(p *pprof.Profile, keep func(*pprof.Sample) bool) map[string]int64 {
	out := map[string]int64{}
	for _, s := range p.Sample {
		if keep != nil && !keep(s) {
			continue
		}
		for i, v := range s.Value {
			out[p.SampleType[i].Type] += v
		}
	}
	return out
}

// wantTotals does the arithmetic from the deaths alone.
func wantTotals(deaths []results.Death) map[string]int64 {
	want := map[string]int64{"deaths": int64(len(deaths))}
	for _, phase := range append(results.DeathPhases(), "limbo", "limbo_bytes") {
		want[phase] = 0
	}
	byteNS := new(big.Int)
	for _, d := range deaths {
		for phase, ns := range d.PhaseNS() {
			want[phase] += ns
		}
		want["limbo_bytes"] += int64(d.MemBytes)
		byteNS.Add(byteNS, new(big.Int).Mul(new(big.Int).SetUint64(d.MemBytes), big.NewInt(d.FreedNS-d.PutNS)))
	}
	half := big.NewInt(1_000_000_000 / 2)
	want["limbo_byte_seconds"] = byteNS.Add(byteNS, half).Div(byteNS, big.NewInt(1_000_000_000)).Int64()
	return want
}

func compareTotals(t *testing.T, got, want map[string]int64) {
	t.Helper()
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: samples add up to %d, deaths to %d", name, got[name], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("sample types %v, want %v", got, want)
	}
}

func TestProfileSums(t *testing.T) {
	for seed := range uint64(30) {
		n := []int{1, 2, 7, 300, 5000}[seed%5]
		deaths := synthetic.Deaths(seed, n)
		compareTotals(t, totals(build(t, deaths), nil), wantTotals(deaths))
	}
}

func TestProfileSampleTypes(t *testing.T) {
	p := build(t, synthetic.Deaths(1, 10))
	var got []string
	for _, st := range p.SampleType {
		got = append(got, st.Type+"/"+st.Unit)
	}
	want := "deaths/count limbo/nanoseconds enqueue/nanoseconds tasks_trace_gp/nanoseconds rcu_gp/nanoseconds " +
		"queue/nanoseconds free_wait/nanoseconds free/nanoseconds limbo_bytes/bytes limbo_byte_seconds/count"
	if strings.Join(got, " ") != want {
		t.Errorf("sample types %v\nwant %s", got, want)
	}
	if p.DefaultSampleType != "limbo" || p.PeriodType == nil || p.TimeNanos != testMeta().Started.UnixNano() || p.DurationNanos != 5e9 {
		t.Errorf("header: default %q, period %v, time %d, duration %d", p.DefaultSampleType, p.PeriodType, p.TimeNanos, p.DurationNanos)
	}
	if !slices.Contains(p.Comments, "command: mapprof run --workload churn") {
		t.Errorf("comments %q", p.Comments)
	}
}

func TestMetaOf(t *testing.T) {
	run := &results.Run{
		Command: []string{"mapprof", "run", "--kernel", "\x1b[2J6.12"},
		Targets: []results.Target{{Kind: "vm", Accel: "tcg", Clock: "wall", CPUs: 2, Kernel: results.Kernel{Release: "6.12.117", Build: "#1 SMP"}}},
		Started: time.Unix(100, 0), Ended: time.Unix(107, 0), Partial: true, PartialReason: "interrupted",
		Scenarios: []results.Scenario{{ID: "a", Kernel: "6.12.117", Strategy: results.Strategy{Requested: "rcu"},
			Loss: map[string]uint64{"ring_full": 2}, Trials: []results.Trial{{Freed: 300}, {Freed: 298}}}},
	}
	m := MetaOf(run)
	want := []string{
		"command: mapprof run --kernel 6.12",
		"kernel: 6.12.117 #1 SMP (target vm, accelerator tcg, clock wall, 2 CPUs)",
		"deaths: 598",
		"loss: ring_full 2",
		"partial: interrupted",
		"limbo is split by the [phase] leaf frames; a death and its limbo_bytes are counted once, at its longest phase",
	}
	if !slices.Equal(m.Comments, want) {
		t.Errorf("comments %q\nwant %q", m.Comments, want)
	}
	if m.Scenarios["a"] != (ScenarioMeta{"6.12.117", "rcu"}) || m.Duration != 7*time.Second || !m.Started.Equal(run.Started) {
		t.Errorf("%+v", m)
	}
}

func TestProfileSamples(t *testing.T) {
	d := results.Death{
		Scenario: "churn-tt", Path: "tasks-trace+rcu", MapType: "Array", MapName: "mp_inner", Outer: "ArrayOfMaps",
		Comm: "churn", MemBytes: 1000, Stack: "module",
		PutNS: 1000, EnqueueNS: 1010, TasksTraceEndNS: 1_000_001_010, RCUEnqueueNS: 1_000_001_010, RCUEndNS: 1_500_001_010,
		FreeNS: 1_500_001_030, FreedNS: 1_500_001_070,
	}
	p := build(t, []results.Death{d, d})
	column := func(name string) int {
		return slices.IndexFunc(p.SampleType, func(t *pprof.ValueType) bool { return t.Type == name })
	}
	valueLimboBytes, valueByteSeconds := column(SampleLimboBytes), column(SampleLimboByteSeconds)
	if len(p.Sample) != 5 {
		t.Fatalf("%d samples, want one for each of 5 phases", len(p.Sample))
	}
	for _, s := range p.Sample {
		leaf := s.Location[0].Line[0].Function.Name
		deaths := int64(0)
		if leaf == "[phase] tasks_trace_gp" {
			deaths = 2
		}
		if s.Value[0] != deaths || s.Value[valueLimboBytes] != deaths*1000 {
			t.Errorf("%s: %d deaths, %d bytes", leaf, s.Value[0], s.Value[valueLimboBytes])
		}
		var frames []string
		for _, l := range s.Location[1:] {
			frames = append(frames, l.Mapping.File+l.Line[0].Function.Name)
		}
		if got, want := strings.Join(frames, " "), "[kernel]bpf_map_free_id [kernel]bpf_map_put [virtio_net]helper_in_module [bpf]bpf_prog_0123456789abcdef_drop"; got != want {
			t.Errorf("stack %s\nwant %s", got, want)
		}
		for k, v := range map[string]string{"kernel": "6.12.117", "strategy": "tasks-trace", "strategy_requested": "tasks-trace",
			"map_type": "Array", "map_name": "mp_inner", "outer": "ArrayOfMaps", "scenario": "churn-tt", "comm": "churn"} {
			if !s.HasLabel(k, v) {
				t.Errorf("%s: label %s is %v, want %s", leaf, k, s.Label[k], v)
			}
		}
		if leaf == "[phase] rcu_gp" && (s.Value[1] != 1e9 || s.Value[valueByteSeconds] != 1000) {
			t.Errorf("rcu_gp of 2 × 0.5 s × 1000 bytes: %v", s.Value)
		}
	}
}

func TestProfileOrderDoesNotMatter(t *testing.T) {
	deaths := synthetic.Deaths(3, 2000)
	var a, b bytes.Buffer
	if err := Write(&a, build(t, deaths)); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(9, 9))
	r.Shuffle(len(deaths), func(i, j int) { deaths[i], deaths[j] = deaths[j], deaths[i] })
	if err := Write(&b, build(t, deaths)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same deaths in another order give another file")
	}
}

func TestProfileRoundTripAndMerge(t *testing.T) {
	one, two := synthetic.Deaths(4, 500), synthetic.Deaths(5, 700)
	read := func(p *pprof.Profile) *pprof.Profile {
		t.Helper()
		var buf bytes.Buffer
		if err := Write(&buf, p); err != nil {
			t.Fatal(err)
		}
		back, err := Read(&buf)
		if err != nil {
			t.Fatal(err)
		}
		if back.String() != p.String() {
			t.Error("what was read isn't what was written")
		}
		return back
	}
	m, err := Merge([]*pprof.Profile{read(build(t, one)), read(build(t, two))})
	if err != nil {
		t.Fatal(err)
	}
	// Each side is rounded to whole byte-seconds for itself.
	got, want := totals(m, nil), wantTotals(append(slices.Clone(one), two...))
	if diff := got["limbo_byte_seconds"] - want["limbo_byte_seconds"]; diff < -1 || diff > 1 {
		t.Errorf("limbo_byte_seconds %d, want %d ± 1", got["limbo_byte_seconds"], want["limbo_byte_seconds"])
	}
	want["limbo_byte_seconds"] = got["limbo_byte_seconds"]
	compareTotals(t, got, want)
	read(m)
}

func TestMergeProfilesErrors(t *testing.T) {
	good := build(t, synthetic.Deaths(1, 3))
	noPeriod := good.Copy()
	noPeriod.PeriodType = nil
	other := good.Copy()
	other.SampleType[1].Type = "other"
	for name, ps := range map[string][]*pprof.Profile{
		"none": nil, "nil": {nil}, "no period": {good, noPeriod}, "other types": {good, other},
	} {
		if _, err := Merge(ps); err == nil || !strings.HasPrefix(err.Error(), "merge profiles: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestReadProfileErrors(t *testing.T) {
	var buf bytes.Buffer
	if err := Write(&buf, build(t, synthetic.Deaths(1, 50))); err != nil {
		t.Fatal(err)
	}
	whole := buf.Bytes()
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("heap profile: 1: 2 [3: 4] @ heap/1\n"), "truncated": whole[:len(whole)/2], "no footer": whole[:len(whole)-4],
	} {
		if _, err := Read(bytes.NewReader(data)); err == nil || !strings.HasPrefix(err.Error(), "read profile: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

type failingWriter struct{ left int }

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, os.ErrClosed
	}
	return len(b), nil
}

// The last bytes are those of the last flush.
func TestWriteProfileReportsEveryError(t *testing.T) {
	p := build(t, synthetic.Deaths(1, 20))
	var buf bytes.Buffer
	if err := Write(&buf, p); err != nil {
		t.Fatal(err)
	}
	for n := max(0, buf.Len()-64); n < buf.Len(); n++ {
		if err := Write(&failingWriter{left: n}, p); err == nil {
			t.Fatalf("no error with room for %d of %d bytes", n, buf.Len())
		}
	}
}

func TestProfileBuilderRefuses(t *testing.T) {
	good := results.Death{Path: "immediate", PutNS: 10, FreeNS: 20, FreedNS: 30, MemBytes: 1 << 40}
	with := func(change func(*results.Death)) results.Death { d := good; change(&d); return d }
	for name, d := range map[string]results.Death{
		"phase goes backwards":  with(func(d *results.Death) { d.FreeNS = 5 }),
		"bytes overflow":        with(func(d *results.Death) { d.MemBytes = 1<<63 - 1 }),
		"nanoseconds overflow":  with(func(d *results.Death) { d.FreedNS = 1<<63 - 1 }),
		"difference overflows":  with(func(d *results.Death) { d.PutNS, d.FreedNS = -1<<62, 1<<62 }),
		"more than int64 bytes": with(func(d *results.Death) { d.MemBytes = 1<<64 - 1 }),
	} {
		b := NewBuilder()
		if err := b.Add(&good); err != nil {
			t.Fatal(err)
		}
		if err := b.Add(&d); err == nil {
			t.Errorf("%s: no error", name)
		}
		if b.N() != 1 {
			t.Errorf("%s: counted", name)
		}
		p, err := b.Build(nil, Meta{})
		if err != nil {
			t.Fatal(err)
		}
		compareTotals(t, totals(p, nil), wantTotals([]results.Death{good}))
	}
}

func TestProfileEvilNames(t *testing.T) {
	d := synthetic.Deaths(1, 1)[0]
	d.MapName, d.Comm, d.Stack = "a\x1b[31mred\x1b[0m\u202e", "\x1b]0;title\x07x\xff", "evil"
	stacks := map[string][]results.Frame{"evil": {{Function: "f\x00\n\u009b2Jx", Module: "m\x1b[H"}, {}}}
	p, err := profileOf([]results.Death{d}, stacks)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"[phase] ", "a" + "red", "x\uFFFD", "[m]", "[unknown]"} {
		if !strings.Contains(p.String(), s) {
			t.Errorf("%q is missing", s)
		}
	}
	for _, r := range p.String() {
		if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e') {
			t.Fatalf("control character %U in the profile", r)
		}
	}
}

// The Go distribution's pprof reads the file and finds the same total.
func TestGoToolPprof(t *testing.T) {
	deaths := synthetic.Deaths(11, 1000)
	path := filepath.Join(t.TempDir(), "profile.pb.gz")
	var buf bytes.Buffer
	if err := Write(&buf, build(t, deaths)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	pprof := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("go", append(append([]string{"tool", "pprof"}, args...), path)...)
		cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir())
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go tool pprof %v: %v\n%s", args, err, stderr.String())
		}
		return string(out)
	}
	top := pprof("-top", "-sample_index=deaths", "-nodefraction=0")
	for _, want := range []string{"Type: deaths", "of 1000 total", "[phase] rcu_gp", "bpf_map_free_id", "Duration: 5s"} {
		if !strings.Contains(top, want) {
			t.Errorf("pprof -top lacks %q:\n%s", want, top)
		}
	}
	if top := pprof("-top"); !strings.Contains(top, "Type: limbo") {
		t.Errorf("limbo isn't the default:\n%s", top)
	}
	raw := pprof("-raw")
	for _, want := range []string{"deaths/count limbo/nanoseconds", "[kernel]", "[bpf]", "strategy:[tasks-trace]", "limbo_byte_seconds/count"} {
		if !strings.Contains(raw, want) {
			t.Errorf("pprof -raw lacks %q", want)
		}
	}
}

func BenchmarkProfileBuilderAdd(b *testing.B) {
	deaths := synthetic.Deaths(1, 10000)
	pb := NewBuilder()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := pb.Add(&deaths[i%len(deaths)]); err != nil {
			b.Fatal(err)
		}
	}
}
