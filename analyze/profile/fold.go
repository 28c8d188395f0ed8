// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"regexp"
	"slices"

	pprof "github.com/google/pprof/profile"
)

// frame is what of a frame is the same in every build: no offset.
type frame struct{ name, mapping string }

// entry is a row of entries: functions by which every stack of a kind begins, and
// what they are for. Of several such functions the role of the highest rank counts,
// of equals the outermost. One without a role belongs to whatever follows.
type entry struct {
	function *regexp.Regexp
	role     string // may have groups of function in it, as in Regexp.Expand
	rank     int
}

// entries is how the kernel is entered, on every architecture.
var entries = []entry{
	{regexp.MustCompile(`^(entry_(SYSCALL|SYSENTER|INT80)\w*|el0t_(64|32)_sync(_handler)?|ret_from_fork(_asm)?)$`), "", 0},
	{regexp.MustCompile(`^(do_syscall_\w+|(do|__do)_fast_syscall_32|do_int80_\w+|(x64|x32|ia32)_sys_call|(do_)?el0_svc(_\w+)?|invoke_syscall)$`), "syscall", 1},
	{regexp.MustCompile(`^kthread$`), "kthread", 1},
	{regexp.MustCompile(`^(?:__(?:(?:x64|ia32|arm64|se|do)_)?(?:compat_)?|k)sys_(\w+)$`), "${1}(2)", 2},
	{regexp.MustCompile(`^(\w*exit_to_user_mode\w*|do_notify_resume|resume_user_mode_work|task_work_run)$`), "exit to user mode", 2},
	{regexp.MustCompile(`^(worker_thread|process_scheduled_works|process_one_work)$`), "kworker", 2},
}

// Names that differ from build to build, or from boot to boot.
var (
	compilerSuffix = regexp.MustCompile(`(\.(isra|constprop|part|cold|llvm|lto_priv)(\.\d+)?)+$`)
	programTag     = regexp.MustCompile(`^bpf_prog_[0-9a-f]{16}(_|$)`)
	trampolineID   = regexp.MustCompile(`^bpf_trampoline_\d+(_\d+)?$`)
)

// sameName is a function's name in every build: without the suffixes of the compiler,
// a program's tag and a trampoline's number.
func sameName(name string) string {
	name = compilerSuffix.ReplaceAllString(name, "")
	switch {
	case trampolineID.MatchString(name):
		return "bpf_trampoline"
	case programTag.MatchString(name):
		return programTag.ReplaceAllString(name, "bpf_prog$1")
	}
	return name
}

// folder folds stacks. What it has found of a location it keeps.
type folder map[*pprof.Location][]foldedFrame

type foldedFrame struct {
	frame
	entry *entry // nil: it is none
	role  string
}

// stack returns a sample's frames, the outermost first, with the functions by which
// the kernel was entered as one frame, named by their role.
func (f folder) stack(s *pprof.Sample) []frame {
	var all []foldedFrame
	for _, l := range slices.Backward(s.Location) {
		frames, ok := f[l]
		if !ok {
			frames = framesOf(l)
			f[l] = frames
		}
		all = append(all, frames...)
	}
	own := 0 // mapprof's frames of groups and of paths are outside of the kernel's
	for own < len(all) && all[own].mapping == mappingOwn {
		own++
	}
	role, rank, inside := "", 0, own
	for ; inside < len(all) && all[inside].entry != nil; inside++ {
		if e := all[inside].entry; e.rank > rank {
			role, rank = all[inside].role, e.rank
		}
	}
	var out []frame
	for i, a := range all {
		switch {
		case rank == 0 || i < own || i >= inside:
			out = append(out, a.frame)
		case i == own:
			out = append(out, frame{role, mappingKernel})
		}
	}
	return out
}

// framesOf are a location's frames, the outermost first.
func framesOf(l *pprof.Location) []foldedFrame {
	mapping := ""
	if l.Mapping != nil {
		mapping = l.Mapping.File
	}
	if len(l.Line) == 0 {
		return []foldedFrame{{frame: frame{unknownFunction, mapping}}}
	}
	var out []foldedFrame
	for _, line := range slices.Backward(l.Line) {
		f := foldedFrame{frame: frame{unknownFunction, mapping}}
		if line.Function != nil && line.Function.Name != "" {
			f.name = line.Function.Name
		}
		if mapping != mappingOwn {
			f.name = sameName(f.name)
			f.entry, f.role = entryOf(f.name)
		}
		out = append(out, f)
	}
	return out
}

// entryOf is a function's row of entries, with its role; nil: it is no entry.
func entryOf(function string) (*entry, string) {
	for i, e := range entries {
		if m := e.function.FindStringSubmatchIndex(function); m != nil {
			return &entries[i], string(e.function.ExpandString(nil, e.role, function, m))
		}
	}
	return nil, ""
}
