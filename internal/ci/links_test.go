// SPDX-License-Identifier: Apache-2.0

package ci

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// page is a Markdown file: where it leads to, and what leads into it.
type page struct {
	links   []string
	anchors map[string]bool
}

var (
	linkPattern    = regexp.MustCompile(`\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)*)\)`)
	headingPattern = regexp.MustCompile(`^#{1,6} +(.*?)\s*$`)
	markup         = regexp.MustCompile("`|\\*|\\[([^\\]]*)\\]\\([^)]*\\)")
	notInSlug      = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// parsePage reads a page as GitHub does: nothing in a fence or in code is a link.
func parsePage(text string) page {
	p, fenced, seen := page{anchors: map[string]bool{}}, false, map[string]int{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if fenced {
			continue
		}
		if m := headingPattern.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			slug := strings.ToLower(markup.ReplaceAllString(m[1], "$1"))
			slug = strings.ReplaceAll(notInSlug.ReplaceAllString(slug, ""), " ", "-")
			anchor := slug
			if n := seen[slug]; n > 0 {
				anchor = fmt.Sprintf("%s-%d", slug, n)
			}
			seen[slug]++
			p.anchors[anchor] = true
		}
		for _, m := range linkPattern.FindAllStringSubmatch(line, -1) {
			p.links = append(p.links, m[1])
		}
	}
	return p
}

// pages are the Markdown files of the repository's root and of docs.
func pages(t *testing.T, root string) map[string]page {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			files = append(files, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	all := map[string]page{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Clean(file)] = parsePage(string(data))
	}
	return all
}

// deadLinks are the links between pages that lead nowhere: there is no such file, or no
// such heading in it.
func deadLinks(all map[string]page) (dead []string, followed int) {
	for file, p := range all {
		for _, link := range p.links {
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			followed++
			path, anchor, _ := strings.Cut(link, "#")
			to := file
			if path != "" {
				to = filepath.Join(filepath.Dir(file), filepath.FromSlash(path))
			}
			if _, err := os.Stat(to); err != nil {
				dead = append(dead, fmt.Sprintf("%s: %s: no such file", file, link))
			} else if q, ok := all[to]; anchor != "" && ok && !q.anchors[anchor] {
				dead = append(dead, fmt.Sprintf("%s: %s: no such heading", file, link))
			}
		}
	}
	slices.Sort(dead)
	return dead, followed
}

// TestLinks: each link between the pages of the repository leads somewhere.
func TestLinks(t *testing.T) {
	dead, followed := deadLinks(pages(t, filepath.Join("..", "..")))
	for _, d := range dead {
		t.Error(d)
	}
	if followed < 60 {
		t.Errorf("only %d links", followed)
	}
}

// TestDeadLinksAreFound: of links that lead nowhere each is told.
func TestDeadLinksAreFound(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"A.md":      "# One `two`, three\n[a](docs/b.md) [b](docs/b.md#x) [c](docs/none.md) [d](#one-two-three) [e](#one)\n```\n[f](in/code.md)\n# no heading\n```\n",
		"docs/b.md": "## X\n## X\n[g](../A.md#no-heading) [h](#x-1) [i](#x-2) ![j](img.png) [k](https://example.org/none)\n",
	} {
		if err := os.MkdirAll(filepath.Join(root, "docs"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dead, _ := deadLinks(pages(t, root))
	want := []string{"A.md: #one: no such heading", "A.md: docs/none.md: no such file", "docs/b.md: #x-2: no such heading", "docs/b.md: ../A.md#no-heading: no such heading", "docs/b.md: img.png: no such file"}
	for i := range dead {
		dead[i] = strings.TrimPrefix(filepath.ToSlash(dead[i]), filepath.ToSlash(root)+"/")
	}
	if slices.Sort(want); !slices.Equal(dead, slices.Sorted(slices.Values(want))) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(dead, "\n"), strings.Join(want, "\n"))
	}
}

// TestSiteHasEveryPage: the site's navigation names each page of docs but those of single
// commands, which the page of the program leads to, and no other.
func TestSiteHasEveryPage(t *testing.T) {
	root := filepath.Join("..", "..")
	data, err := os.ReadFile(filepath.Join(root, "mkdocs.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var site struct {
		Nav []map[string]any
	}
	if err := yaml.Unmarshal(data, &site); err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			named[v] = true
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	for _, entry := range site.Nav {
		walk(entry)
	}
	for file := range pages(t, root) {
		name, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		name = strings.TrimPrefix(filepath.ToSlash(name), "docs/")
		if name == "README.md" {
			name = "index.md"
		}
		if !named[name] && !strings.HasPrefix(name, "reference/mapprof_") {
			t.Errorf("mkdocs.yml does not name %s", name)
		}
		delete(named, name)
	}
	for name := range named {
		t.Errorf("mkdocs.yml names %s, which is no page", name)
	}
}
