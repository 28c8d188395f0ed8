// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/report/web"
)

// BenchmarkGrowth is what commands cost that read runs, in this process. CI holds it
// against the base branch (.ci/benchstat); mapprof bench growth has the large sizes.
func BenchmarkGrowth(b *testing.B) {
	for _, n := range []int{10, 50, 200} {
		dir := b.TempDir()
		base, candidate := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		for seed, at := range []string{base, candidate} {
			if err := synthetic.WriteMany(at, n, uint64(seed), at == base); err != nil {
				b.Fatal(err)
			}
		}
		page := filepath.Join(dir, "report.html")
		for _, args := range [][]string{
			{"report", "-v", base},
			{"report", base, "-o", page},
			{"compare", base, candidate},
			{"gate", "--baseline", base, "--candidate", candidate},
			{"history", base, candidate},
		} {
			name := args[0]
			if slices.Contains(args, page) {
				name = "page"
			}
			b.Run(fmt.Sprintf("%s/scenarios=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					var stdout, stderr bytes.Buffer
					if code := run(context.Background(), args, strings.NewReader(""), &stdout, &stderr); code != exitOK {
						b.Fatalf("exit %d: %s", code, stderr.Bytes())
					}
				}
			})
		}
		b.Run(fmt.Sprintf("web/scenarios=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				openRunPage(b, base)
			}
		})
	}
}

var runPage = regexp.MustCompile(`/run/[0-9a-f]+`)

// openRunPage has a server that is new show its runs, and then one of them.
func openRunPage(b *testing.B, dir string) {
	server, err := web.New([]string{dir})
	if err != nil {
		b.Fatal(err)
	}
	h := server.Handler(func(string) bool { return true })
	at := "/"
	for range 2 {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost"+at, nil))
		if answer.Code != http.StatusOK {
			b.Fatalf("%s: %d", at, answer.Code)
		}
		at = runPage.FindString(answer.Body.String())
	}
}
