// SPDX-License-Identifier: Apache-2.0

//go:build vm

package collect_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/mapprof/mapprof/collect/kallsyms"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/target/task"
)

const symbolsTask = "symbols"

// symbolsFound are the addresses of what probes.SymbolAddresses was asked for, and those
// that the text of /proc/kallsyms has.
type symbolsFound struct {
	Asked, Text         map[string]uint64
	AskedTook, TextTook time.Duration
	Refused             string
}

func findSymbols(context.Context, *task.Env, struct{}) (r symbolsFound, err error) {
	names := append(slices.Concat(probes.FreeCallbacks[:], probes.InventorySymbols[:]), "no_such_symbol")
	began := time.Now()
	if r.Asked, err = probes.SymbolAddresses(names); err != nil {
		r.Refused = err.Error()
	}
	r.AskedTook, began = time.Since(began), time.Now()
	r.Text, err = kallsyms.Addresses(names...)
	r.TextTook = time.Since(began)
	return r, err
}

// TestVMSymbols: a kernel that can be asked for its symbols by name tells the same
// addresses as its text, and sooner.
func TestVMSymbols(t *testing.T) {
	for _, kernel := range []string{"6.12", "7.2"} {
		r := vmtest.Call[symbolsFound](t, vmtest.VM(t, kernel), symbolsTask, struct{}{})
		t.Logf("%s: asked: %v, by the text: %v", kernel, r.AskedTook, r.TextTook)
		if r.Refused != "" || !maps.Equal(r.Asked, r.Text) || len(r.Asked) < len(probes.InventorySymbols) {
			t.Errorf("%s: %+v", kernel, r)
		}
		if r.AskedTook > r.TextTook/2 {
			t.Errorf("%s: asking took %v, the text %v", kernel, r.AskedTook, r.TextTook)
		}
	}
}
