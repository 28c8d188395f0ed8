// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTaggedTestsRun: make test runs those of the tests behind a build tag whose
// names say so; and the tests that the documents name exist.
func TestTaggedTestsRun(t *testing.T) {
	root := filepath.Join(packageDir, "..", "..")
	function := regexp.MustCompile(`(?m)^func (Test\w+|Fuzz\w+|Benchmark\w+)\(`)
	named := regexp.MustCompile("`(Test[A-Z]\\w+|Fuzz[A-Z]\\w+)`")
	there, documents, tagged := map[string]bool{}, map[string]string{}, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		isTest, isDocument := strings.HasSuffix(path, "_test.go"), strings.HasSuffix(path, ".md")
		if !isTest && !isDocument {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if isDocument {
			documents[path] = string(data)
			return nil
		}
		head, _, _ := strings.Cut(string(data), "\npackage ")
		for _, m := range function.FindAllStringSubmatch(string(data), -1) {
			there[m[1]] = true
			for tag, word := range map[string]string{"vm": "VM", "browser": "Browser"} {
				if !regexp.MustCompile(`(?m)^//go:build .*\b` + tag + `\b`).MatchString(head) {
					continue
				}
				if tagged++; m[1] != "TestMain" && !strings.Contains(m[1], word) {
					t.Errorf("%s: %s is behind the tag %s, and make test runs those called …%s…", path, m[1], tag, word)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if tagged < 40 {
		t.Errorf("only %d tests behind tags were found", tagged)
	}
	for path, text := range documents {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if !there[m[1]] {
				t.Errorf("%s names %s, which does not exist", path, m[1])
			}
		}
	}
}
