// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ci

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFuzzSeeds: every fuzz target begins with inputs that once reached code which its
// own did not, and none of them is so large that it slows others down.
func TestFuzzSeeds(t *testing.T) {
	declares := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	const largest = 4 << 10
	targets := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && strings.HasPrefix(e.Name(), ".") && path != root {
			return fs.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range declares.FindAllSubmatch(source, -1) {
			targets++
			dir := filepath.Join(filepath.Dir(path), "testdata", "fuzz", string(found[1]))
			seeds, err := os.ReadDir(dir)
			if err != nil || len(seeds) == 0 {
				t.Errorf("%s has no inputs in testdata/fuzz: %v", found[1], err)
			}
			for _, s := range seeds {
				if info, err := s.Info(); err != nil || info.Size() > largest {
					t.Errorf("%s: %s has more than %d bytes: %v", found[1], s.Name(), largest, err)
				}
			}
		}
		return nil
	})
	if err != nil || targets < 10 {
		t.Errorf("%d targets: %v", targets, err)
	}
}
