// SPDX-License-Identifier: Apache-2.0

//go:build linux

package seeds

import "github.com/mapprof/mapprof/results"

// Scenario is a workload with its parameters, by name.
type Scenario struct {
	Name       string // as it would be asked for: what follows mapprof run
	Workload   string
	Params     map[string]string
	Strategies []string
	Modules    []string // of the kernel's
}

// row is one commit, or several of one change.
type row struct {
	commits, since, what string
	scenarios            []string // by name; empty: no row yet
	figures              func(s *results.Scenario) string
	// proof says what of it the kernel got wrong; empty: nothing. nil: there is none
	// beside the run's own.
	proof func(s *results.Scenario) string
	// refusal is what the kernel is to say of the scenario's maps, where that is what
	// the commit did.
	refusal string
	why     string // there is no scenario
	// on are the kernels where nothing is said, if its figures change between others than
	// the usual ones.
	on []string
}

// rows is the table, by release.
var rows = []row{
	{commits: "56f668dfe0", since: "4.12", what: "arrays of maps", scenarios: []string{churnArray}, figures: deaths},
	{commits: "bcc6b1b7ebf8", since: "4.12", what: "hashes of maps", scenarios: []string{churnHash}, figures: deaths},
	{commits: "14dc6f04f4", since: "4.13", what: "user space looks an outer map up: an id", scenarios: []string{outerLookup}, figures: calls, proof: idsGiven},
	{commits: "7b5dd2bde7, c6fdcd6e0c", since: "4.18, 4.20", what: "cgroup storage may not be an inner map", scenarios: []string{innerStorage, innerPerCPUStorage}, refusal: "ENOTSUPP"},
	{commits: "9d5564ddcf", since: "5.0", what: "index masks of inner maps", scenarios: []string{maskedInner}, figures: masked, proof: oneMaskEach},
	{commits: "d83525ca62, a115d0ed72", since: "5.1", what: "bpf_spin_lock, and its offset in inner maps", scenarios: []string{specialLock}, figures: closing},
	{commits: "25763b3c86", since: "5.3", what: "licence lines", why: "it changed no code: there is nothing to measure"},
	{commits: "1e0bd5a091", since: "5.5", what: "64-bit reference counts: none is refused past 32,768", scenarios: []string{manyReferences}, figures: found("references: ")},
	{commits: "2beee5f574", since: "5.5", what: "the owner of a program array: it may not be an inner map", scenarios: []string{innerProgArray}, refusal: "ENOTSUPP"},
	{commits: "85d33df357b6, d3e42bb0a329", since: "5.6", what: "struct_ops maps: INIT, INUSE, TOBEFREE", scenarios: []string{structOps}, figures: registering, proof: allOrNoneWaitInFree},
	{commits: "e9b4e606c228", since: "5.6", what: "trampolines in stacks", scenarios: []string{withPrograms}, figures: found("stack through ")},
	{commits: "5576b991e9c1", since: "5.6", what: "bpf_jiffies64", scenarios: []string{readClocks}, figures: clocks},
	{commits: "be8704ff07d2", since: "5.6", what: "program extensions", scenarios: []string{withPrograms}, figures: extensions},
	{commits: "1d233886dd90", since: "5.6", what: "bulk queues for redirects without a map", scenarios: []string{redirectCPU, redirectDevice, redirectHash, redirectIndex}, figures: redirecting, proof: allArriveInBulks},
	{commits: "057996380a42, aa2e93b8e58e, cb4d03ab499d", since: "5.6", what: "batches", scenarios: []string{lookupBatch, batchCalls}, figures: lookupBatched},
	{commits: "51c39bb1d5d1", since: "5.6", what: "verification function by function", scenarios: []string{withPrograms}, figures: verifying, proof: eachByItself},
	{commits: "bba1dc0b55", since: "5.7", what: "no needless synchronize_rcu in map_free", scenarios: []string{churnSync}, figures: freeing},
	{commits: "2c78ee898d", since: "5.8", what: "CAP_BPF: maps of a task without CAP_PERFMON", scenarios: []string{maskedArray}, figures: masked, proof: oneMaskEach},
	{commits: "f4d0525921, 134fede4ee", since: "5.10", what: "an inner map's max_entries may differ from the template's", scenarios: []string{innerEntries}, figures: addressing,
		on: []string{"5.10", "6.1", "6.12", "6.18", "7.0", "7.1", "7.2"}},
	{commits: "68134668c1, 40ec00abf1", since: "5.15", what: "timers in maps; BTF of inner maps", scenarios: []string{specialNone, specialTimer, specialTimerHash}, figures: closing},
	{commits: "61df10c779, 6df4ea1ff0ff", since: "5.19, 6.1", what: "kptrs in maps", scenarios: []string{specialNone, specialKptr, specialKptrRef, specialKptrCPUs}, figures: destroying},
	{commits: "07343110b293", since: "5.19", what: "bpf_map_lookup_percpu_elem", scenarios: []string{lookupPerCPU}, figures: lookupPerCPUHelper},
	{commits: "9263dddc7b6f", since: "5.19", what: "batches on outer maps", scenarios: []string{churnBatch, outerBatches}, figures: batches},
	{commits: "87ac0d600943", since: "6.0", what: "64-bit addresses of elements past 4 GiB", why: "it takes 10 GiB of memory and minutes: mapprof run --workload bigarray --memory 10GiB proves it"},
	{commits: "d937bc3449fa, cba41bb78d70", since: "6.0, 6.4", what: "elem_size everywhere, and in inner maps", scenarios: []string{smallArray}, figures: addressing},
	{commits: "63b8ce77b15e", since: "6.0", what: "values of arrays past 4 MiB", scenarios: []string{largeValue}, figures: addressing},
	{commits: "f76fa6b33805", since: "6.0", what: "an iterator holds its map, and so do others", scenarios: []string{heldMaps}, figures: holders},
	{commits: "aa3496accc41, db559117828d, d7f5ef653c3d", since: "6.2", what: "btf_record, freed after the map", scenarios: []string{specialTimer, specialWork, specialList, specialLocalKptr}, figures: record},
	{commits: "d48995723c, f73e601aaf, c22dfdd215, b7ff97925b", since: "6.2", what: "records and locks of inner maps", scenarios: []string{specialTimer, specialLockInner, specialList}, figures: innerRecord},
	{commits: "cd2a807901", since: "6.4", what: "btf_field_offs is gone", why: "the same fields are freed by the same code: nothing that can be measured"},
	{commits: "20c20bd11a13", since: "6.8", what: "need_defer: an inner map waits only where a program may still use it", scenarios: []string{tearArray, tearHash}, figures: teardown, proof: hashWaitsForNone},
	{commits: "8766733641", since: "6.8", what: "inner maps are freed after RCU and tasks-trace grace periods", scenarios: []string{churnArray}, figures: paths, proof: sleepersAreWaitedFor},
	{commits: "af66bfd3c8", since: "6.8", what: "tasks-trace only where a sleepable program uses the outer map", scenarios: []string{churnArray}, figures: paths, proof: sleepersAreWaitedFor},
	{commits: "ff34657aa72a", since: "6.19", what: "an update of an outer map waits for an expedited grace period", scenarios: []string{churnArray}, figures: updateWait, proof: allOrNoneExpedited,
		on: []string{"5.10", "6.1", "6.12", "6.18", "6.19", "7.2"}},
	{commits: "c27cea4416a3", since: "7.0", what: "tasks-trace RCU is built on SRCU, and implies an RCU grace period", scenarios: []string{churnArray}, figures: paths, proof: sleepersAreWaitedFor,
		on: []string{"5.10", "6.1", "6.12", "6.19", "7.0", "7.2"}},
	{commits: "424f6a361096", since: "7.0", what: "all fentry programs on functions of the kernel share one ftrace_ops, which is not removed with each", scenarios: []string{withPrograms}, figures: attaching,
		on: []string{"5.10", "6.1", "6.12", "6.19", "7.0", "7.2"}},
	{commits: "593980175389", since: "7.1", what: "a percpu array of another max_entries is refused as inner map", scenarios: []string{innerEntries}, figures: addressing,
		on: []string{"5.10", "6.1", "6.12", "6.18", "7.0", "7.1", "7.2"}},
}

// Names of scenarios are what follows mapprof run.
const (
	churnArray         = "--workload churn --count 100 --strategy rcu,tasks-trace"
	churnHash          = "--workload churn --count 100 --outer hash-of-maps --op delete"
	churnBatch         = "--workload churn --count 30 --outer hash-of-maps --op delete --slots 4 --batch 4"
	churnSync          = "--workload churn --count 30 --strategy sync"
	innerStorage       = "--workload churn --count 1 --inner cgroup-storage"
	innerPerCPUStorage = "--workload churn --count 1 --inner percpu-cgroup-storage"
	innerProgArray     = "--workload churn --count 1 --inner prog-array"
	lookupBatch        = "--workload lookup --path syscall,batch --count 20000"
	lookupPerCPU       = "--workload lookup --map percpu-array --path percpu-helper --count 20000"
	outerLookup        = "--workload mapcalls --op lookup --count 20 --batch 20"
	batchCalls         = "--workload mapcalls --map array,percpu-array,hash,percpu-hash,lru-hash,lru-percpu-hash,lpm-trie --op lookup-batch,update-batch,delete-batch,lookup-delete-batch"
	outerBatches       = "--workload mapcalls --op lookup-batch,update-batch,delete-batch,lookup-delete-batch"
	innerEntries       = "--workload lookup --inner-entries-differ --path syscall --count 20000"
	smallArray         = "--workload bigarray --size 1MiB --count 20480"
	largeValue         = "--workload bigarray --size 16MiB --value-size 8MiB --path syscall,helper --count 20000"
	maskedArray        = "--workload lookup --path helper,inlined --count 20000 --size 384KiB --unprivileged"
	maskedInner        = "--workload lookup --map array-of-maps --path inlined --count 20000 --size 384KiB --unprivileged"
	readClocks         = "--workload clocks"
	redirectCPU        = "--workload redirect --to cpumap"
	redirectDevice     = "--workload redirect --to devmap"
	redirectHash       = "--workload redirect --to devmap-hash"
	redirectIndex      = "--workload redirect --to ifindex"
	structOps          = "--workload structops"
	tearArray          = "--workload teardown"
	specialNone        = "--workload special --field none"
	specialLock        = "--workload special --field spin-lock"
	specialTimer       = "--workload special --field timer"
	specialTimerHash   = "--workload special --field timer --map hash"
	specialWork        = "--workload special --field workqueue"
	specialKptr        = "--workload special --field kptr"
	specialKptrRef     = "--workload special --field kptr-ref"
	specialKptrCPUs    = "--workload special --field kptr-ref --map percpu-array"
	specialLockInner   = "--workload special --field spin-lock --as-inner"
	specialList        = "--workload special --field list"
	specialLocalKptr   = "--workload special --field local-kptr"
	manyReferences     = "--workload holders --by fd-elsewhere --count 1 --references 40000"
	withPrograms       = "--workload programs --globals 32"
	heldMaps           = "--workload holders --count 3"
	tearHash           = "--workload teardown --outer hash-of-maps"
)

// ScenarioNamed makes a scenario of its name.
func ScenarioNamed(name string) (Scenario, error) {
	s := Scenario{Name: name, Params: map[string]string{}}
	return s, s.parse()
}
