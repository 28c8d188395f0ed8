// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kallsyms

import (
	"maps"
	"strings"
	"testing"
)

func TestFindAddresses(t *testing.T) {
	const text = "ffffffff81000000 T _text\n" +
		"ffffffff82000010 r bpf_map_fops\n" +
		"ffffffff82000020 r bpf_map_fops\n" + // another of that name
		"0000000000000000 T hidden\n" +
		"zz T broken\n" +
		"ffffffffc0000000 t of_module\t[veth]\n" +
		"ffffffff81000100 t bpf_map_free_rcu_gp\n"
	got, err := findAddresses(strings.NewReader(text), []string{"bpf_map_fops", "bpf_map_free_rcu_gp", "hidden", "broken", "of_module", "absent"})
	want := map[string]uint64{"bpf_map_fops": 0xffffffff82000010, "bpf_map_free_rcu_gp": 0xffffffff81000100}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %x, %v", got, err)
	}
}
