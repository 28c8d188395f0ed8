// SPDX-License-Identifier: Apache-2.0

package mapmemory

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestStructs: the list has each struct that a formula asks for. One that it lacked
// would have the size 0, and its maps too little memory.
func TestStructs(t *testing.T) {
	source, err := os.ReadFile("parts.go")
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	for _, m := range regexp.MustCompile(`\bStruct\("(\w+)"\)`).FindAllSubmatch(source, -1) {
		asked = append(asked, string(m[1]))
	}
	slices.Sort(asked)
	if asked = slices.Compact(asked); len(asked) < 20 || !slices.Equal(asked, Structs) {
		t.Errorf("the formulas ask for %q, the list has %q", asked, Structs)
	}
}
