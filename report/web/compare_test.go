// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/report/internal/fixture"
)

// TestBase: the older run is the base in whatever order the runs are named, the
// address says so, and the sides can be swapped with all else kept.
func TestBase(t *testing.T) {
	root := t.TempDir()
	small := fixture.Churn{Kernels: fixture.TwoKernels, Strategies: fixture.TwoStrategies, Deaths: 20}
	ids := map[string]string{}
	for i, name := range []string{"young", "old", "middle"} { // by name the old one isn't first
		small.Started = time.Date(2026, 5, []int{9, 1, 5}[i], 0, 0, 0, 0, time.UTC)
		small.Write(t, filepath.Join(root, name))
	}
	web := newTestServer(t, root)
	for _, name := range []string{"young", "old", "middle"} {
		ids[name] = idOf(t, web, name)
	}
	h := web.Handler(anyHost)
	for _, c := range []struct{ runs, title string }{
		{"young old", "young against old"},
		{"old young", "young against old"},
		{"young old young", "young against old"},
		{"young middle", "young against middle"},
		{"young middle old", "young, middle against old"},
		{"middle", "middle"},
	} {
		at := "/compare?strategy=rcu"
		for name := range strings.FieldsSeq(c.runs) {
			at += "&run=" + ids[name]
		}
		code, header, _ := get(t, h, at)
		to := header.Get("Location")
		fields := strings.Fields(c.title)
		if code != http.StatusSeeOther || !strings.Contains(to, "base="+ids[fields[len(fields)-1]]) {
			t.Fatalf("%s: %d to %q", c.runs, code, to)
		}
		code, _, body := get(t, h, to)
		if code != 200 || !strings.Contains(body, "<h1>"+c.title+"</h1>") {
			t.Errorf("%s: %d, want %s: %.300s", c.runs, code, c.title, body)
		}
		swap := regexp.MustCompile(`href="([^"]*)"[^>]*>Swap sides<`).FindStringSubmatch(body)
		if len(fields) != 3 {
			if swap != nil {
				t.Errorf("%s: there are no two sides to swap", c.runs)
			}
			continue
		}
		if swap == nil {
			t.Fatalf("%s: the sides can't be swapped", c.runs)
		}
		_, _, body = get(t, h, strings.ReplaceAll(swap[1], "&amp;", "&"))
		if want := "<h1>" + fields[2] + " against " + fields[0] + "</h1>"; !strings.Contains(body, want) || !strings.Contains(body, "filtered out") {
			t.Errorf("%s: swapped it isn't %s of the same strategy", c.runs, want)
		}
	}
	if code, _, _ := get(t, h, "/compare?run="+ids["old"]+"&run=xyz"); code != 404 {
		t.Errorf("a run that isn't there: %d", code)
	}
}
