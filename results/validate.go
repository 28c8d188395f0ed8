// SPDX-License-Identifier: Apache-2.0

package results

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Bounds on numbers in files: what is beyond them was measured by nobody. A
// century is 3·10¹⁸ ns, and an exabyte for a year 4·10²⁵ byte-seconds.
const (
	maxInteger = 1 << 62
	maxFloat   = 1e27
)

// FieldError is returned for a field of a run or a death that can't be what it
// says.
type FieldError struct {
	Field string // its path in the file: scenarios[0].trials[2].phases.limbo.p50_ns
	What  string // what is wrong with it
}

func (e *FieldError) Error() string { return e.Field + ": " + e.What }

// key is a map's key in a path: a stranger's is quoted.
func key(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-+./", r))
	}) {
		return strconv.Quote(name)
	}
	return name
}

// within puts a field's path before that of an error inside it.
func within(path string, err error) error {
	var field *FieldError
	if !errors.As(err, &field) {
		return err
	}
	inner := field.Field
	if inner != "" && inner[0] != '[' {
		inner = "." + inner
	}
	return &FieldError{Field: path + inner, What: field.What}
}

// check holds a decoded run against what every run is like, in all of its
// fields: numbers that can be, quantiles in order, totals that are the sums over
// the trials. Readers believe what it lets pass.
func (r *Run) check() error {
	if r.SchemaVersion >= 2 && r.Files == nil {
		return errors.New("no files: it doesn't say which others it was written with")
	}
	if len(r.Targets) == 0 {
		return errors.New("no targets")
	}
	if err := checkNumbers(reflect.ValueOf(r).Elem()); err != nil {
		return err
	}
	seen := make(map[string]bool, len(r.Scenarios))
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		switch {
		case s.ID == "":
			return errors.New("a scenario has no id")
		case seen[s.ID]:
			return fmt.Errorf("scenario %q occurs twice", s.ID)
		case s.TargetIx < 0 || s.TargetIx >= len(r.Targets):
			return fmt.Errorf("scenario %q names target %d of %d", s.ID, s.TargetIx, len(r.Targets))
		}
		seen[s.ID] = true
		if err := s.check(); err != nil {
			return within("scenarios["+strconv.Itoa(i)+"]", err)
		}
	}
	if f, ok := r.Files[DeathsFile]; ok && f.Count != r.Deaths()-r.DeathsNotKept() {
		return &FieldError{"files." + DeathsFile + ".count", fmt.Sprintf("%d deaths, and the trials have %d", f.Count, r.Deaths()-r.DeathsNotKept())}
	}
	return nil
}

func (s *Scenario) check() error {
	if err := checkFigures(s.Phases, s.Metrics); err != nil {
		return err
	}
	trials := make(map[int]bool, len(s.Trials))
	for i := range s.Trials {
		t := &s.Trials[i]
		path := "trials[" + strconv.Itoa(i) + "]"
		if trials[t.Index] {
			return &FieldError{path + ".index", fmt.Sprintf("trial %d occurs twice", t.Index)}
		}
		trials[t.Index] = true
		if err := t.check(); err != nil {
			return within(path, err)
		}
	}
	if miscounts := s.Miscounts(); len(miscounts) > 0 {
		m := miscounts[0]
		return &FieldError{m.Field + "." + key(m.Name) + ".n", fmt.Sprintf("%d, and its trials have %d", m.N, m.Sum)}
	}
	return nil
}

// Miscount is a phase or a metric of a scenario whose count is not the sum over
// its trials.
type Miscount struct {
	Field, Name string // phases or metrics; which of them
	N, Sum      uint64 // the scenario's count, its trials'
}

// Miscounts lists a scenario's miscounts: phases first, each by its name.
func (s *Scenario) Miscounts() []Miscount {
	var out []Miscount
	for _, name := range slices.Sorted(maps.Keys(s.Phases)) {
		m := Miscount{Field: "phases", Name: name, N: s.Phases[name].N}
		for _, t := range s.Trials {
			m.Sum += t.Phases[name].N
		}
		out = append(out, m)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Metrics)) {
		m := Miscount{Field: "metrics", Name: name, N: s.Metrics[name].N}
		for _, t := range s.Trials {
			m.Sum += t.Metrics[name].N
		}
		out = append(out, m)
	}
	return slices.DeleteFunc(out, func(m Miscount) bool { return m.N == m.Sum })
}

func (t *Trial) check() error {
	if err := checkFigures(t.Phases, t.Metrics); err != nil {
		return err
	}
	if err := checkSums(t.Phases); err != nil {
		return err
	}
	if n := t.Phases[PhaseUpdateWait].N; t.Expedited > n {
		return &FieldError{"update_wait_expedited", fmt.Sprintf("%d of %d update waits were expedited", t.Expedited, n)}
	}
	for i, g := range t.GracePeriods {
		if g.EndNS < g.StartNS {
			return &FieldError{fmt.Sprintf("grace_periods[%d].end_ns", i), fmt.Sprintf("%d is before its start, %d", g.EndNS, g.StartNS)}
		}
	}
	for i, p := range t.Timeline {
		if i > 0 && p.AtNS < t.Timeline[i-1].AtNS {
			return &FieldError{fmt.Sprintf("timeline[%d].at_ns", i), fmt.Sprintf("%d is before the point before it, %d", p.AtNS, t.Timeline[i-1].AtNS)}
		}
	}
	for i := range t.Owners {
		o, path := &t.Owners[i], fmt.Sprintf("owners[%d]", i)
		if err := o.Limbo.check(); err != nil {
			return within(path+".limbo", err)
		}
		if o.Limbo.N != o.Deaths {
			return &FieldError{path + ".deaths", fmt.Sprintf("%d, and their limbo has %d values", o.Deaths, o.Limbo.N)}
		}
	}
	if n := t.Phases[PhaseLimbo].N; t.DeathsNotKept > n {
		return &FieldError{"deaths_not_kept", fmt.Sprintf("%d of %d deaths", t.DeathsNotKept, n)}
	}
	if n := len(t.RSS); n > MaxRSS {
		return &FieldError{"rss", fmt.Sprintf("%d points, more than %d", n, MaxRSS)}
	}
	if n := len(t.Stuck); n > MaxStuck {
		return &FieldError{"stuck", fmt.Sprintf("%d deaths, more than %d", n, MaxStuck)}
	}
	for i := range t.Stuck {
		if s := &t.Stuck[i]; s.SeenNS < s.PutNS || s.FreedNS != 0 && s.FreedNS < s.PutNS {
			return &FieldError{fmt.Sprintf("stuck[%d].seen_ns", i), fmt.Sprintf("%d, freed %d, and it was put at %d", s.SeenNS, s.FreedNS, s.PutNS)}
		}
	}
	if t.Live != nil {
		if f := t.Live.Check(); f != nil {
			return &FieldError{"live." + f.Field, f.What}
		}
	}
	if p := t.Pending; p != nil && p.MinNS > p.MaxNS {
		return &FieldError{"pending.min_ns", fmt.Sprintf("%d is above the maximum, %d", p.MinNS, p.MaxNS)}
	}
	return nil
}

// checkSums: where there is limbo, no part of a death is without it, and the parts
// take no longer.
func checkSums(of map[string]Stats) error {
	whole := of[PhaseLimbo]
	if whole.N == 0 {
		return nil
	}
	var sum int64
	for _, name := range DeathPhases() {
		part := of[name]
		if part.N > whole.N {
			return &FieldError{"phases." + key(name) + ".n", fmt.Sprintf("%d of %d deaths", part.N, whole.N)}
		}
		sum += min(part.SumNS, maxInteger-sum)
	}
	if sum > whole.SumNS {
		return &FieldError{"phases." + PhaseLimbo + ".sum_ns", fmt.Sprintf("%d, and its parts have %d", whole.SumNS, sum)}
	}
	return nil
}

func checkFigures(phases map[string]Stats, metrics map[string]Metric) error {
	for name, s := range phases {
		if err := s.check(); err != nil {
			return within("phases."+key(name), err)
		}
	}
	for name, m := range metrics {
		if err := m.check(); err != nil {
			return within("metrics."+key(name), err)
		}
	}
	return nil
}

func (s Stats) check() error {
	if s.N == 0 {
		return noFigures(s == Stats{})
	}
	if err := inOrder("_ns", float64(s.MinNS), float64(s.P50NS), float64(s.P90NS), float64(s.P99NS), float64(s.MaxNS), s.MeanNS); err != nil {
		return err
	}
	if sum := s.MeanNS * float64(s.N); math.Abs(sum-float64(s.SumNS)) > 1e-6*sum+float64(s.N) {
		return &FieldError{"sum_ns", fmt.Sprintf("%d of %d values, whose mean is %v", s.SumNS, s.N, s.MeanNS)}
	}
	return nil
}

func (m Metric) check() error {
	figures := []struct {
		name  string
		value float64
	}{{"p50", m.P50}, {"p90", m.P90}, {"p99", m.P99}, {"min", m.Min}, {"max", m.Max}, {"mean", m.Mean}}
	for _, f := range figures {
		if f.value < 0 && !m.Difference {
			return &FieldError{f.name, fmt.Sprintf("%v is negative, and it is no difference", f.value)}
		}
	}
	if m.BucketWidth >= 1 {
		return &FieldError{"bucket_width", fmt.Sprintf("%v of a value", m.BucketWidth)}
	}
	if m.Sample&(m.Sample-1) != 0 || m.Sample > 0 && m.Seen < m.N {
		return &FieldError{"sample", fmt.Sprintf("one in %d, and %d of %d", m.Sample, m.N, m.Seen)}
	}
	if m.N == 0 {
		return noFigures(m.P50 == 0 && m.P90 == 0 && m.P99 == 0 && m.Min == 0 && m.Max == 0 && m.Mean == 0)
	}
	return inOrder("", m.Min, m.P50, m.P90, m.P99, m.Max, m.Mean)
}

func noFigures(none bool) error {
	if none {
		return nil
	}
	return &FieldError{"n", "0, and there are figures"}
}

// inOrder checks that quantiles don't decrease and that the mean lies between
// the extremes, as far as floating point goes.
func inOrder(unit string, minimum, p50, p90, p99, maximum, mean float64) error {
	names, values := []string{"min", "p50", "p90", "p99", "max"}, []float64{minimum, p50, p90, p99, maximum}
	for i := range values[1:] {
		if values[i] > values[i+1] {
			return &FieldError{names[i+1] + unit, fmt.Sprintf("%v is below %s, %v", values[i+1], names[i], values[i])}
		}
	}
	if slack := 1e-9 * max(math.Abs(minimum), math.Abs(maximum)); mean < minimum-slack || mean > maximum+slack {
		return &FieldError{"mean" + unit, fmt.Sprintf("%v is not between the minimum, %v, and the maximum, %v", mean, minimum, maximum)}
	}
	return nil
}

// check is for deaths what Run.check is for runs.
func (d *Death) check() error {
	for _, f := range []struct {
		name string
		v    int64
	}{{"t", int64(d.Trial)}, {"put_ns", d.PutNS}, {"enqueue_ns", d.EnqueueNS}, {"tasks_trace_end_ns", d.TasksTraceEndNS},
		{"rcu_enqueue_ns", d.RCUEnqueueNS}, {"rcu_end_ns", d.RCUEndNS}, {"free_ns", d.FreeNS}, {"freed_ns", d.FreedNS},
		{"free_wait_ns", d.FreeWaitNS}, {"cpu_put", int64(d.CPUPut)}, {"cpu_free", int64(d.CPUFree)}} {
		if f.v < 0 || f.v > maxInteger {
			return &FieldError{f.name, outOfBounds(f.v)}
		}
	}
	if o := d.Owner; o != nil && (o.CreatedNS < 0 || o.CreatedNS > maxInteger) {
		return &FieldError{"owner.created_ns", outOfBounds(o.CreatedNS)}
	}
	if d.MemBytes > maxInteger {
		return &FieldError{"mem_bytes", outOfBounds(d.MemBytes)}
	}
	for i, ns := range d.EachPhase {
		if ns < 0 {
			return &FieldError{"map_id", fmt.Sprintf("of map %d, phase %s ends %d ns before it begins", d.MapID, phases[i].Name, -ns)}
		}
	}
	return nil
}

// outOfBounds says why a number is none that is measured.
func outOfBounds(v any) string {
	if s := fmt.Sprint(v); strings.HasPrefix(s, "-") {
		return s + " is negative"
	}
	return fmt.Sprintf("%v is more than anybody measures", v)
}

// signedMetric are the figures that Metric.check looks at: differences may be
// negative.
var signedMetric = map[string]bool{"P50": true, "P90": true, "P99": true, "Min": true, "Max": true, "Mean": true}

var metricType = reflect.TypeFor[Metric]()

// checkNumbers goes over every number in v: none is negative, but for the figures
// of a Metric, or too large to be one. It walks the types, so that a new field
// is checked too.
func checkNumbers(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n := v.Int(); n < 0 || n > maxInteger {
			return &FieldError{What: outOfBounds(n)}
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if n := v.Uint(); n > maxInteger {
			return &FieldError{What: outOfBounds(n)}
		}
	case reflect.Float32, reflect.Float64:
		if n := v.Float(); !(n >= 0 && n <= maxFloat) {
			return &FieldError{What: outOfBounds(n)}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return checkNumbers(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := checkNumbers(v.Index(i)); err != nil {
				return within("["+strconv.Itoa(i)+"]", err)
			}
		}
	case reflect.Map:
		if !hasNumbers(v.Type().Elem()) {
			return nil
		}
		for it := v.MapRange(); it.Next(); {
			if err := checkNumbers(it.Value()); err != nil {
				return within(key(it.Key().String()), err)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || !hasNumbers(f.Type) {
				continue
			}
			field := v.Field(i)
			if v.Type() == metricType && signedMetric[f.Name] && math.Abs(field.Float()) <= maxFloat {
				continue
			}
			if err := checkNumbers(field); err != nil {
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				return within(name, err)
			}
		}
	}
	return nil
}

// hasNumbers leaves out the strings and booleans, of which a run has the most.
func hasNumbers(t reflect.Type) bool { return t.Kind() != reflect.String && t.Kind() != reflect.Bool }
