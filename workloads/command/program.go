// SPDX-License-Identifier: Apache-2.0

//go:build linux

package command

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/mapprof/mapprof/workloads"
)

// program is one that runs, in a process group of its own, so that a Ctrl-C at the
// terminal is mapprof's to pass on.
type program struct {
	cmd     *exec.Cmd
	err     error // of Wait, once ended is closed
	ended   chan struct{}
	stopped bool
}

// patience is how long a program may take to end that was asked to, and how long
// others may hold its output open when it has.
const patience = 3 * time.Second

func start(file string, args, env []string, output io.Writer) (*program, error) {
	p := &program{cmd: exec.Command(file, args[1:]...), ended: make(chan struct{})}
	p.cmd.Args[0] = args[0]
	p.cmd.Stdout, p.cmd.Stderr = output, output
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = patience
	if err := p.cmd.Start(); err != nil {
		return nil, Explain(args[0], err)
	}
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// stop asks the program and what it started to end, and makes them.
func (p *program) stop() {
	p.stopped = true
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		_ = syscall.Kill(-p.cmd.Process.Pid, signal) // it may have ended
		t := time.NewTimer(patience / 2)
		select {
		case <-p.ended:
			t.Stop()
			return
		case <-t.C:
		}
	}
	<-p.ended
}

// end says how it ended. What it left running in its group is ended, too.
func (p *program) end() *workloads.CommandEnd {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	e := &workloads.CommandEnd{Args: p.cmd.Args, Stopped: p.stopped}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) && !errors.Is(p.err, exec.ErrWaitDelay) {
		e.ExitCode = 126 // as shells have it: it could not be run to an end
		return e
	}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		e.ExitCode = status.ExitStatus()
		if status.Signaled() {
			e.ExitCode, e.Signal = 128+int(status.Signal()), status.Signal().String()
		}
	}
	return e
}
