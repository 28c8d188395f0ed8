// SPDX-License-Identifier: Apache-2.0

//go:build vm && soak

package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/internal/flagvalue"
)

// toldMemory is the size that a machine that is too small is told.
var toldMemory = regexp.MustCompile(`leave --memory out, use (\S+), or`)

// TestVMSoakMemory: runs of many shapes end well on a machine as large as they
// are said to take, and are refused before anything boots on one of half of that.
func TestVMSoakMemory(t *testing.T) {
	for _, args := range []string{
		"--kernel 6.12 --count 2000 --strategy rcu,tasks-trace",
		"--kernel 7.2 --count 20000 --strategy immediate",
		"--kernel 5.10 --slots 65536 --outer hash-of-maps --count 50",
		"--kernel 6.12 --slots 4096 --inner hash --inner-entries 4096 --count 200 --strategy tasks-trace",
		"--kernel 6.1 --slots 64 --inner percpu-array --inner-entries 64 --inner-value-size 32768 --count 200",
		"--kernel 7.2 --inner lru-hash --inner-entries 65536 --count 300 --strategy immediate,rcu",
		"--kernel 6.12 --slots 1024 --batch 64 --inner hash --inner-entries 1024 --count 30 --strategy tasks-trace",
		"--kernel 6.1 --workload lookup --map hash --size 256MiB --value-size 64 --count 20480",
		"--kernel 7.2 --workload lookup --map array-of-maps --size 256MiB --path syscall,helper --count 20480",
		"--kernel 5.10 --workload bigarray --size 3GiB --count 20480 --strategy immediate",
		"--kernel 7.2 --workload bigarray --size 1GiB --value-size 64MiB --path syscall,batch,mmap --count 20480",
		"--kernel 6.12 --workload bigarray --count 20480",
	} {
		t.Run(args, func(t *testing.T) {
			run := func(memory string) (int, string) {
				code, _, stderr := mapprof(t, append([]string{"run", "--target", "vm", "--memory", memory, "-o", filepath.Join(t.TempDir(), "run")}, strings.Fields(args)...)...)
				return code, stderr
			}
			takes := "256MiB" // the smallest machine there is
			code, stderr := run(takes)
			if told := toldMemory.FindStringSubmatch(stderr); told != nil {
				takes = told[1]
				code, stderr = run(takes)
			}
			t.Logf("takes %s", takes)
			if code != exitOK {
				t.Errorf("on %s: exit %d\n%s", takes, code, stderr)
			}
			var size flagvalue.Size
			if err := size.Set(takes); err != nil {
				t.Fatal(err)
			}
			size /= 2
			if code, stderr := run(size.String()); code != exitUsage || strings.Contains(stderr, "boot") || !strings.Contains(stderr, "is too little") {
				t.Errorf("on %s, half of that: exit %d\n%s", &size, code, stderr)
			}
		})
	}
}
