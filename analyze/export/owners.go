// SPDX-License-Identifier: Apache-2.0

package export

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
)

// ownerSum is what the maps of one owner add up to over a scenario's trials.
type ownerSum struct {
	labels                 labels
	deaths, bytes, limboNS uint64
}

// ownerLabels tell owners apart. The ids of outer maps differ from trial to trial, and
// stand only for one without a name.
func ownerLabels(l labels, o *results.OwnerSum) labels {
	if o.Others {
		return l.with("owner", "others")
	}
	outer := o.OuterName
	if outer == "" && o.OuterID != 0 {
		outer = fmt.Sprintf("map %d", o.OuterID)
	}
	return l.with("outer", outer).with("creator", o.Creator).with("comm", o.Comm).with("container", o.Container).
		with("cgroup", o.Cgroup).with("path", o.Path).with("pinned_by", strings.Join(o.PinnedBy, ", "))
}

// owners adds whose maps died in a recording, and who holds those that live.
func (b *familyBuilder) owners() {
	each := func(f family, sample func(ownerSum)) {
		b.each(f, func(s *results.Scenario, l labels) {
			for _, sum := range ownersOf(s, l) {
				sample(sum)
			}
		})
	}
	each(family{"mapprof_owner_deaths_total", dto.MetricType_COUNTER, "", "Maps of a recording that died, by whose they were."}, func(o ownerSum) {
		b.sample(o.labels, float64(o.deaths))
	})
	each(family{"mapprof_owner_died_bytes_total", dto.MetricType_COUNTER, "bytes", "Memory of the maps of a recording that died, by whose they were."}, func(o ownerSum) {
		b.sample(o.labels, float64(o.bytes))
	})
	each(family{"mapprof_owner_limbo_seconds", dto.MetricType_SUMMARY, "seconds", "How long the maps of a recording stayed in memory after their last put, by whose they were."}, func(o ownerSum) {
		sum := float64(o.limboNS) / 1e9
		b.add(o.labels, &dto.Metric{Summary: &dto.Summary{SampleCount: new(o.deaths), SampleSum: new(sum)}}, sum)
	})
	b.live(family{"mapprof_live_maps", dto.MetricType_GAUGE, "", "Maps that were alive when the recording ended, by who held them."}, func(h *inventory.HolderSum) uint64 { return h.Maps })
	b.live(family{"mapprof_live_bytes", dto.MetricType_GAUGE, "bytes", "Memory of the maps that were alive when the recording ended, by who held them."}, func(h *inventory.HolderSum) uint64 { return h.Bytes })
	b.each(family{"mapprof_stuck_total", dto.MetricType_COUNTER, "", "Deaths that were pending longer than --stuck-after."}, func(s *results.Scenario, l labels) {
		var stuck uint64
		for i := range s.Trials {
			stuck += uint64(len(s.Trials[i].Stuck)) + s.Trials[i].MoreStuck
		}
		if slices.ContainsFunc(s.Trials, func(t results.Trial) bool { return t.Live != nil }) {
			b.sample(l, float64(stuck))
		}
	})
	b.each(family{"mapprof_deaths_not_kept_total", dto.MetricType_COUNTER, "", "Deaths of a recording that have no line of their own (--deaths-limit); all other figures have them."}, func(s *results.Scenario, l labels) {
		var lacking uint64
		for i := range s.Trials {
			lacking += s.Trials[i].DeathsNotKept
		}
		if lacking > 0 {
			b.sample(l, float64(lacking))
		}
	})
}

// live adds a family of the last trial that has an inventory at its end.
func (b *familyBuilder) live(f family, of func(*inventory.HolderSum) uint64) {
	b.each(f, func(s *results.Scenario, l labels) {
		for i := len(s.Trials) - 1; i >= 0; i-- {
			live := s.Trials[i].Live
			if live == nil || live.End == nil {
				continue
			}
			sums, order := map[string]uint64{}, []labels{}
			for j := range live.End.Holders {
				h := &live.End.Holders[j]
				l := l.with("holder", h.Kind).with("name", h.Name)
				if _, had := sums[labelKey(l)]; !had {
					order = append(order, l)
				}
				sums[labelKey(l)] += of(h)
			}
			for _, l := range order {
				b.sample(l, float64(sums[labelKey(l)]))
			}
			return
		}
	})
}

// ownersOf sums up a scenario's owners by their labels, those with the most deaths
// first.
func ownersOf(s *results.Scenario, l labels) []ownerSum {
	sums := map[string]*ownerSum{}
	for i := range s.Trials {
		for j := range s.Trials[i].Owners {
			o := &s.Trials[i].Owners[j]
			l := ownerLabels(l, o)
			key := labelKey(l)
			if sums[key] == nil {
				sums[key] = &ownerSum{labels: l}
			}
			have := sums[key]
			have.deaths += o.Deaths
			have.bytes += o.Bytes
			have.limboNS += uint64(max(0, o.Limbo.SumNS))
		}
	}
	var all []ownerSum
	for _, key := range sortedKeys(sums) {
		all = append(all, *sums[key])
	}
	slices.SortStableFunc(all, func(a, b ownerSum) int { return cmp.Compare(b.deaths, a.deaths) })
	return all
}

// labelKey is the same for labels that a reader can't tell apart.
func labelKey(l labels) string {
	var key strings.Builder
	for _, p := range l {
		fmt.Fprintf(&key, "%s=%q,", p.GetName(), p.GetValue())
	}
	return key.String()
}
