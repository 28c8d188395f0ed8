// SPDX-License-Identifier: Apache-2.0

package runschema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"

	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
)

// The bounds on numbers are those of results.Open (validate.go there).
const (
	minNumber  = json.Number("0")
	maxInteger = json.Number("4611686018427387904") // 1<<62
	maxFloat   = json.Number("1e27")
)

// units are what a name's end says of the figure.
var units = []struct{ suffix, unit string }{
	{"_ns", "nanoseconds"}, {"byte_seconds", "byte-seconds"}, {"bytes", "bytes"}, {"per_second", "per second"},
}

// signed are the figures of a metric that are negative where it is a difference.
var signed = map[string]bool{"p50": true, "p90": true, "p99": true, "min": true, "max": true, "mean": true}

// enums are the values of texts that have few.
var enums = map[string][]string{
	"Target.kind": {"local", "vm"}, "Target.accel": {"none", "tcg", "kvm"}, "Target.clock": results.ClockNames(),
	"Scenario.loop": {results.LoopClosed, results.LoopOpen}, "GracePeriod.kind": {"rcu", "tasks-trace"},
	"Holder.kind": inventory.Kinds(), "HolderSum.kind": inventory.Kinds(),
	"Metric.better": {"lower", "higher"}, "Probe.mechanism": {"fentry", "kprobe"},
}

// limits are on lists that have one.
var limits = map[string]uint64{
	"Trial.grace_periods": results.MaxGracePeriods, "Trial.rss": results.MaxRSS, "Trial.stuck": results.MaxStuck,
	"Maps.top": inventory.MaxMaps, "Map.holders": inventory.MaxHolders,
}

// schemaOf is the schema of a file whose content is of v's type. A strict one allows no
// field that the types don't have; the one for others does, since later versions of
// mapprof may write more.
func schemaOf(t *testing.T, v any, file, title string, strict bool) []byte {
	t.Helper()
	t.Chdir("../..") // the comments are looked for by the path of the package
	r := &jsonschema.Reflector{AllowAdditionalProperties: !strict, Anonymous: true}
	if err := r.AddGoComments("github.com/mapprof/mapprof", "results", jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	s := r.Reflect(v)
	s.ID, s.Title = jsonschema.ID("https://github.com/mapprof/mapprof/blob/main/docs/"+file), title
	s.Comments = "Generated from the types of package results: go test ./internal/runschema -update"
	nullable := nullableLists(reflect.TypeOf(v).Elem(), map[string]bool{}, map[reflect.Type]bool{})
	for name, def := range s.Definitions {
		def.Description = oneLine(def.Description)
		for p := def.Properties.Oldest(); p != nil; p = p.Next() {
			constrain(name, p.Key, p.Value, nullable)
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// constrain adds to a property what its Go type and comment don't say.
func constrain(typ, name string, p *jsonschema.Schema, nullable map[string]bool) {
	field := typ + "." + name
	p.Description = oneLine(p.Description)
	switch p.Type {
	case "integer", "number":
		p.Minimum, p.Maximum = minNumber, maxInteger
		if p.Type == "number" {
			p.Maximum = maxFloat
			if typ == "Metric" && signed[name] {
				p.Minimum = "-" + maxFloat
			}
		}
		for _, u := range units {
			if strings.HasSuffix(name, u.suffix) {
				p.Description = strings.TrimSpace(p.Description + " (" + u.unit + ")")
				break
			}
		}
	case "string":
		for _, value := range enums[field] {
			p.Enum = append(p.Enum, value)
		}
	case "array":
		if n := limits[field]; n > 0 {
			p.MaxItems = &n
		}
	}
	if p.AdditionalProperties != nil && p.AdditionalProperties.Type == "integer" {
		p.AdditionalProperties.Minimum, p.AdditionalProperties.Maximum = minNumber, maxInteger
	}
	if nullable[field] { // as encoding/json writes an empty one
		typed := *p
		description := typed.Description
		typed.Description = ""
		*p = jsonschema.Schema{Description: description, OneOf: []*jsonschema.Schema{&typed, {Type: "null"}}}
	}
}

// nullableLists are the lists and maps that are null where they are empty: those without
// omitempty.
func nullableLists(t reflect.Type, found map[string]bool, seen map[reflect.Type]bool) map[string]bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return found
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if k := f.Type.Kind(); (k == reflect.Slice || k == reflect.Map) && !strings.Contains(options, "omit") {
			found[t.Name()+"."+name] = true
		}
		nullableLists(f.Type, found, seen)
	}
	return found
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// files are the schemas that are kept, with what each is of.
var files = []struct {
	name, title string
	of          any
}{
	{"run.schema.json", fmt.Sprintf("run.json of mapprof, schema version %d", results.SchemaVersion), &results.Run{}},
	{"death.schema.json", "a line of deaths.jsonl.zst of mapprof", &results.Death{}},
}

// TestSchemasAreFresh: what is kept is what the types give, and -update rewrites it.
func TestSchemasAreFresh(t *testing.T) {
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) {
			golden.Check(t, "docs/"+f.name, string(schemaOf(t, f.of, f.name, f.title, false)))
		})
	}
}
