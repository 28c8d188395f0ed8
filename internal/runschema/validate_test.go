// SPDX-License-Identifier: Apache-2.0

package runschema

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// compiled is a schema as a validator that isn't ours reads it.
func compiled(t *testing.T, data []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// both are the schema that is kept and a strict one, which knows every field.
func both(t *testing.T, i int) map[string]*jsonschema.Schema {
	t.Helper()
	kept, err := os.ReadFile(filepath.Join("..", "..", "docs", files[i].name))
	if err != nil {
		t.Fatal(err)
	}
	var strict []byte
	t.Run("strict", func(t *testing.T) { strict = schemaOf(t, files[i].of, files[i].name, files[i].title, true) })
	return map[string]*jsonschema.Schema{"kept": compiled(t, kept), "strict": compiled(t, strict)}
}

func validates(t *testing.T, s *jsonschema.Schema, data []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// realRuns are run.json as mapprof wrote it: of a workload and of a recording.
func realRuns(t *testing.T) map[string][]byte {
	t.Helper()
	runs := map[string][]byte{}
	for _, name := range []string{"churn", "recording"} {
		data, err := os.ReadFile(filepath.Join("testdata", name, results.RunFile))
		if err != nil {
			t.Fatal(err)
		}
		runs[name] = data
	}
	return runs
}

// TestRunsAreValid: real runs and made up ones are as the schema says, and have no field
// that it lacks.
func TestRunsAreValid(t *testing.T) {
	runs := realRuns(t)
	for _, clock := range results.ClockNames() {
		data, err := json.Marshal(synthetic.Seeded(3, 0.1, 1, clock, 1))
		if err != nil {
			t.Fatal(err)
		}
		runs["made up, "+clock] = data
	}
	for kind, s := range both(t, 0) {
		for name, data := range runs {
			if err := validates(t, s, data); err != nil {
				t.Errorf("%s by the %s schema: %v", name, kind, err)
			}
		}
	}
}

// TestDeathsAreValid: so are the lines of real runs.
func TestDeathsAreValid(t *testing.T) {
	schemas, lines := both(t, 1), 0
	for _, name := range []string{"churn", "recording"} {
		packed, err := os.ReadFile(filepath.Join("testdata", name, results.DeathsFile))
		if err != nil {
			t.Fatal(err)
		}
		d, err := zstd.NewReader(nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := d.DecodeAll(packed, nil)
		d.Close()
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			lines++
			for kind, s := range schemas {
				if err := validates(t, s, line); err != nil {
					t.Errorf("%s by the %s schema: %v\n%s", name, kind, err, line)
				}
			}
		}
	}
	if lines < 100 {
		t.Errorf("only %d deaths", lines)
	}
}

// TestFaultsAreFound: what no run can say, the schema refuses.
func TestFaultsAreFound(t *testing.T) {
	kept := both(t, 0)["kept"]
	for name, fault := range map[string]struct {
		run  string
		edit func(run map[string]any)
	}{
		"no targets":         {"churn", func(run map[string]any) { delete(run, "targets") }},
		"another clock":      {"churn", func(run map[string]any) { run["target"].(map[string]any)["clock"] = "sundial" }},
		"a time as text":     {"churn", func(run map[string]any) { run["started"] = "yesterday" }},
		"fewer than none":    {"churn", func(run map[string]any) { trial(run)["puts"] = -1 }},
		"a fraction":         {"churn", func(run map[string]any) { trial(run)["freed"] = 1.5 }},
		"a quantile as text": {"churn", func(run map[string]any) { phase(run, "limbo")["p50_ns"] = "1 ms" }},
		"after a century":    {"churn", func(run map[string]any) { phase(run, "limbo")["p50_ns"] = json.Number("9e18") }},
		"a loss below zero":  {"churn", func(run map[string]any) { run["loss"].(map[string]any)["lost"] = -1 }},
		"another holder": {"recording", func(run map[string]any) {
			end := trial(run)["live"].(map[string]any)["end"].(map[string]any)
			end["holders"].([]any)[0].(map[string]any)["kind"] = "magic"
		}},
		"too many grace periods": {"recording", func(run map[string]any) {
			list := trial(run)["grace_periods"].([]any)
			for len(list) <= results.MaxGracePeriods {
				list = append(list, list[0])
			}
			trial(run)["grace_periods"] = list
		}},
	} {
		var run map[string]any
		if err := json.Unmarshal(realRuns(t)[fault.run], &run); err != nil {
			t.Fatal(err)
		}
		fault.edit(run)
		data, err := json.Marshal(run)
		if err != nil {
			t.Fatal(err)
		}
		if validates(t, kept, data) == nil {
			t.Errorf("%s: the schema has nothing against it", name)
		}
	}
}

func trial(run map[string]any) map[string]any {
	return run["scenarios"].([]any)[0].(map[string]any)["trials"].([]any)[0].(map[string]any)
}

func phase(run map[string]any, name string) map[string]any {
	return trial(run)["phases"].(map[string]any)[name].(map[string]any)
}

// TestTimesHaveUnits: each field that is a time says in which unit.
func TestTimesHaveUnits(t *testing.T) {
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join("..", "..", "docs", f.name))
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			Defs map[string]struct {
				Properties map[string]struct{ Description, Type string }
			} `json:"$defs"`
		}
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		fields := 0
		for typ, def := range s.Defs {
			for name, p := range def.Properties {
				fields++
				if strings.HasSuffix(name, "_ns") && !strings.HasSuffix(p.Description, "(nanoseconds)") {
					t.Errorf("%s: %s.%s has no unit: %q", f.name, typ, name, p.Description)
				}
			}
		}
		if fields < 30 {
			t.Errorf("%s describes only %d fields", f.name, fields)
		}
	}
}
