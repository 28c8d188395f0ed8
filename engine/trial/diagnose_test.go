// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"strings"
	"testing"

	"github.com/mapprof/mapprof/probes"
)

func TestVisiblePhases(t *testing.T) {
	all := []probes.Attachment{
		{Stage: probes.StagePut, Function: "bpf_map_put"}, {Stage: probes.StageQueue, Function: "queue_work_on"},
		{Stage: probes.StageEnqueue, Function: "call_rcu"}, {Stage: probes.StageEnqueue, Function: "call_rcu_tasks_trace"},
		{Stage: probes.StageEnqueue, Function: "call_srcu"}, {Stage: probes.StageCallback, Function: "bpf_map_free_rcu_gp"},
		{Stage: probes.StageFree, Function: "bpf_map_free_deferred"}, {Stage: probes.StageUpdateWait, Function: "synchronize_rcu"},
		{Stage: probes.StageFreeWait, Function: "__wait_rcu_gp"},
	}
	for _, c := range []struct{ without, want string }{
		{"", "enqueue tasks_trace_gp rcu_gp queue free_wait free limbo update_wait"},
		{"bpf_map_put", "tasks_trace_gp rcu_gp queue free_wait free update_wait"},
		{"bpf_map_free_rcu_gp", "enqueue queue free_wait free limbo update_wait"},
		{"bpf_map_put bpf_map_free_rcu_gp", "free_wait free update_wait"},
		{"bpf_map_free_deferred", "enqueue tasks_trace_gp rcu_gp update_wait"},
		{"call_rcu", "enqueue tasks_trace_gp queue free_wait free limbo update_wait"},
		{"call_srcu", "enqueue tasks_trace_gp rcu_gp queue free_wait free limbo update_wait"},
		{"call_srcu call_rcu_tasks_trace", "enqueue rcu_gp queue free_wait free limbo update_wait"},
		{"call_rcu call_srcu call_rcu_tasks_trace", "queue free_wait free limbo update_wait"},
		{"synchronize_rcu", "enqueue tasks_trace_gp rcu_gp queue free_wait free limbo"},
	} {
		attached := append([]probes.Attachment(nil), all...)
		for i := range attached {
			attached[i].Mechanism = probes.MechanismFentry
			for without := range strings.FieldsSeq(c.without) {
				if attached[i].Function == without {
					attached[i].Mechanism = ""
				}
			}
		}
		if got := strings.Join(VisiblePhases(attached), " "); got != c.want {
			t.Errorf("without %q: %s, want %s", c.without, got, c.want)
		}
	}
	if got := VisiblePhases(nil); len(got) > 0 {
		t.Errorf("without any probe: %v", got)
	}
}
