// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
	"go.yaml.in/yaml/v3"
)

// What a rule does when its metric got worse.
const (
	ActionBlock  = "block"
	ActionAdvise = "advise"
)

// Hosts: on a shared one nothing that a wall clock measured blocks.
const (
	HostShared    = "shared"
	HostDedicated = "dedicated"
)

const maxPolicyBytes = 1 << 20

// Policy is what a gate goes by.
type Policy struct {
	Version int    `yaml:"version"`
	Host    string `yaml:"host"`
	// Confirm wants a wall-clock regression to be seen in a second run of the
	// candidate before it blocks.
	Confirm bool `yaml:"confirm"`
	// MaxLoss and MaxPending are fractions of the deaths: above them a run
	// proves nothing.
	MaxLoss    Ratio `yaml:"max_loss"`
	MaxPending Ratio `yaml:"max_pending"`
	// Accept names ways in which the two sides may differ in kind: see
	// Differs….
	Accept        []string    `yaml:"accept,flow"`
	Deterministic ClockPolicy `yaml:"deterministic"`
	Wall          ClockPolicy `yaml:"wall"`
	Rules         []Rule      `yaml:"rules"`
}

// ClockPolicy is what is asked of the trials on one kind of clock.
type ClockPolicy struct {
	// Alpha is the chance of a false regression, over all blocking metrics
	// together.
	Alpha float64 `yaml:"alpha"`
	// PassAlpha is the chance that a metric passes that is worse by its margin.
	PassAlpha float64 `yaml:"pass_alpha"`
	MinTrials int     `yaml:"min_trials"`
}

// Rule is for the metrics that one of its patterns matches and that no rule
// before it does.
type Rule struct {
	// Metrics are patterns: * is anything but a slash, ** anything.
	Metrics []string `yaml:"metrics,flow"`
	// Clock is the name of one; empty: any.
	Clock string `yaml:"clock,omitempty"`
	// Strategies are those that the baseline's deaths took; empty: any.
	Strategies []string `yaml:"strategies,flow,omitempty"`
	// Direction is what is better: "lower" or "higher". Empty: as the metric
	// says.
	Direction string `yaml:"direction,omitempty"`
	// Relative and Absolute are the margin: the larger of the two is how much
	// worse a metric may be. Absolute is in the metric's unit.
	Relative  Ratio  `yaml:"relative"`
	Absolute  Amount `yaml:"absolute,omitempty"`
	Action    string `yaml:"action"`
	MinTrials int    `yaml:"min_trials,omitempty"` // 0: the clock's
	// Optional: the rule may match nothing. A metric that only one side has
	// is never fine.
	Optional bool `yaml:"optional,omitempty"`

	patterns []*regexp.Regexp
}

// Ratio is a fraction, written as 0.05 or 5%.
type Ratio float64

// UnmarshalYAML reads a ratio.
func (r *Ratio) UnmarshalYAML(n *yaml.Node) error {
	text, percent := strings.CutSuffix(strings.TrimSpace(n.Value), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if n.Kind != yaml.ScalarNode || err != nil || !compare.Finite(v) || v < 0 {
		return fmt.Errorf("line %d: %q is not a ratio (5%% or 0.05)", n.Line, safetext.Name(n.Value))
	}
	if percent {
		v /= 100
	}
	*r = Ratio(v)
	return nil
}

// Amount is a number in a metric's unit, or a time (10us) or memory (4KiB).
type Amount float64

var memoryUnits = []struct {
	name  string
	bytes float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}}

// UnmarshalYAML reads an amount.
func (a *Amount) UnmarshalYAML(n *yaml.Node) error {
	text := strings.TrimSpace(n.Value)
	v, err := strconv.ParseFloat(text, 64)
	for _, u := range memoryUnits {
		if number, ok := strings.CutSuffix(text, u.name); ok && err != nil {
			if v, err = strconv.ParseFloat(strings.TrimSpace(number), 64); err == nil {
				v *= u.bytes
			}
		}
	}
	if err != nil {
		var d time.Duration
		if d, err = time.ParseDuration(text); err == nil {
			v = float64(d.Nanoseconds())
		}
	}
	if n.Kind != yaml.ScalarNode || err != nil || !compare.Finite(v) || v < 0 {
		return fmt.Errorf("line %d: %q is not an amount (10us, 4KiB, or a number in the metric's unit)", n.Line, safetext.Name(n.Value))
	}
	*a = Amount(v)
	return nil
}

// OpenPolicy reads the policy in a file; without a name it is DefaultPolicy.
func OpenPolicy(path string) (Policy, error) {
	if path == "" {
		return DefaultPolicy(), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return Policy{}, fmt.Errorf("read policy: %w", err)
	}
	defer file.Close()
	p, err := ReadPolicy(file)
	if err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// ReadPolicy reads a policy in YAML. What it leaves out is as in
// DefaultPolicy; rules, when given, replace the default ones. A key that is
// not known is an error.
func ReadPolicy(r io.Reader) (Policy, error) {
	p := DefaultPolicy()
	p.Version = 0
	rules := p.Rules
	p.Rules = nil
	data, err := io.ReadAll(io.LimitReader(r, maxPolicyBytes+1))
	switch {
	case err != nil:
		return p, fmt.Errorf("read policy: %w", err)
	case len(data) > maxPolicyBytes:
		return p, fmt.Errorf("read policy: larger than %d bytes", maxPolicyBytes)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&p); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return p, fmt.Errorf("read policy: %w", err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return p, errors.New("read policy: there is more than one document in it")
	}
	if p.Rules == nil {
		p.Rules = rules
	}
	if err := p.Check(); err != nil {
		return p, fmt.Errorf("read policy: %w", err)
	}
	return p, nil
}

// Check makes the policy ready to be judged by, or says what is wrong with it.
func (p *Policy) Check() error {
	oneOf := func(what, value string, known ...string) error {
		if slices.Contains(known, value) {
			return nil
		}
		return fmt.Errorf("%s %q is not one of %s%s", what, safetext.Name(value), strings.Join(known, ", "), flagvalue.DidYouMean(value, known))
	}
	if p.Version != 1 {
		return fmt.Errorf("version is %d; this mapprof knows version 1 (write version: 1)", p.Version)
	}
	errs := []error{oneOf("host", p.Host, HostShared, HostDedicated)}
	for _, c := range []struct {
		name string
		ClockPolicy
	}{{"deterministic", p.Deterministic}, {"wall", p.Wall}} {
		if !(c.Alpha > 0 && c.Alpha < 1) {
			errs = append(errs, fmt.Errorf("%s: alpha %v is not between 0 and 1", c.name, c.Alpha))
		}
		if !(c.PassAlpha > 0 && c.PassAlpha < 0.5) {
			errs = append(errs, fmt.Errorf("%s: pass_alpha %v is not between 0 and 0.5", c.name, c.PassAlpha))
		}
		if c.MinTrials < 2 || c.MinTrials > 10000 {
			errs = append(errs, fmt.Errorf("%s: min_trials %d is not from 2 to 10000", c.name, c.MinTrials))
		}
	}
	if p.MaxLoss > 1 || p.MaxPending > 1 {
		errs = append(errs, errors.New("max_loss and max_pending are at most 100%"))
	}
	for _, kind := range p.Accept {
		errs = append(errs, oneOf("accept", kind, differences()...))
	}
	if len(p.Rules) == 0 {
		errs = append(errs, errors.New("there are no rules, so nothing could ever be found"))
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		name := fmt.Sprintf("rule %d: ", i+1)
		errs = append(errs, oneOf(name+"action", r.Action, ActionBlock, ActionAdvise),
			oneOf(name+"clock", r.Clock, append([]string{""}, results.ClockNames()...)...),
			oneOf(name+"direction", r.Direction, "", compare.BetterLower, compare.BetterHigher))
		if r.MinTrials < 0 || r.MinTrials == 1 || r.MinTrials > 10000 {
			errs = append(errs, fmt.Errorf("%smin_trials %d is not from 2 to 10000", name, r.MinTrials))
		}
		if len(r.Metrics) == 0 {
			errs = append(errs, errors.New(name+"it names no metrics"))
		}
		r.patterns = nil
		for _, m := range r.Metrics {
			if m == "" || len(m) > 200 {
				errs = append(errs, fmt.Errorf("%spattern %q is empty or too long", name, safetext.Name(m)))
				continue
			}
			r.patterns = append(r.patterns, globPattern(m))
		}
	}
	return errors.Join(errs...)
}

func globPattern(glob string) *regexp.Regexp {
	var b strings.Builder
	for rest := glob; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "**"):
			b.WriteString(".*")
			rest = rest[2:]
		case rest[0] == '*':
			b.WriteString("[^/]*")
			rest = rest[1:]
		default:
			n := strings.IndexByte(rest, '*')
			if n < 0 {
				n = len(rest)
			}
			b.WriteString(regexp.QuoteMeta(rest[:n]))
			rest = rest[n:]
		}
	}
	return regexp.MustCompile("^(?s:" + b.String() + ")$")
}

func (r *Rule) applies(clock string) bool { return r.Clock == "" || r.Clock == clock }

// rule is the index of the first rule for a figure, of which the baseline's
// deaths took that strategy; -1: there is none.
func (p *Policy) rule(figure, strategy, clock string) int {
	return slices.IndexFunc(p.Rules, func(r Rule) bool {
		return r.applies(clock) && (len(r.Strategies) == 0 || slices.Contains(r.Strategies, strategy)) && r.matches(figure)
	})
}

func (r *Rule) matches(metric string) bool {
	return slices.ContainsFunc(r.patterns, func(p *regexp.Regexp) bool { return p.MatchString(metric) })
}

// action is what a rule does on a clock.
func (p *Policy) action(r *Rule, clock string) string {
	if !results.Deterministic(clock) && p.Host != HostDedicated {
		return ActionAdvise
	}
	return r.Action
}

func (p *Policy) clock(deterministic bool) (string, ClockPolicy) {
	policy := p.Wall
	if deterministic {
		policy = p.Deterministic
	}
	return results.ClockThatIs(deterministic).Name, policy
}

func (c ClockPolicy) minTrials(r *Rule) int {
	if r.MinTrials > 0 {
		return r.MinTrials
	}
	return c.MinTrials
}
