// SPDX-License-Identifier: Apache-2.0

package ci

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLanes: targets run in turn, a lane beside another when both have begun, and one that
// fails fails the whole, whichever lane it is in. Each that ran is told with its time.
func TestLanes(t *testing.T) {
	makes := script(t, "make", `
target=${!#} dir=$(dirname "$0")
echo "ran $target"
case $target in
bad*) exit 3 ;;
meets*) # ends when the other has begun
	touch "$dir/$target.began"
	until [ -e "$dir/${target#meets-}.began" ]; do sleep 0.01; done ;;
esac
[ "$target" != a ] || touch "$dir/a.began"`)
	for _, c := range []struct {
		words string
		ok    bool
		ran   string // in the order of names
	}{
		{"a", true, "a"},
		{"a b", true, "a b"},
		{"a bad c", false, "a bad"},
		{"meets-a+a,c d", true, "a c d meets-a"},
		{"a+b,bad,c d", false, "a b bad"},
		{"bad+a,b c", false, "a b bad"},
	} {
		cmd := exec.Command(filepath.Join(root, ".ci", "lanes"), strings.Fields(c.words)...)
		cmd.Env = append(cmd.Environ(), "MAKE="+makes)
		code, out := ends(t, cmd)
		_, times, told := strings.Cut(out, "how long each took, of ")
		var timed []string
		for _, m := range regexp.MustCompile(`(?m)^ +\d+ s  (\S+)$`).FindAllStringSubmatch(times, -1) {
			timed = append(timed, m[1])
			if !strings.Contains(out, "ran "+m[1]+"\n") {
				t.Errorf("%s: what %s printed is not there: %s", c.words, m[1], out)
			}
		}
		if got := strings.Join(slices.Sorted(slices.Values(timed)), " "); (code == 0) != c.ok || !told || got != c.ran {
			t.Errorf("%s: exit status %d, ran %q, want %q: %s", c.words, code, got, c.ran, out)
		}
	}
	if code, out := ends(t, exec.Command(filepath.Join(root, ".ci", "lanes"))); code != 2 || !strings.Contains(out, "usage") {
		t.Errorf("without a target: exit status %d: %s", code, out)
	}
}
