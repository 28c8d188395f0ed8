// SPDX-License-Identifier: Apache-2.0

package targetflags

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/target/machine"
)

// archFlag is an architecture that a VM can have.
type archFlag string

func (a *archFlag) String() string { return string(*a) }

func (a *archFlag) Type() string { return "string" }

func (a *archFlag) Set(name string) error {
	if _, err := machine.Of(name); err != nil {
		return fmt.Errorf("%w%s", err, flagvalue.DidYouMean(name, machine.Names()))
	}
	*a = archFlag(name)
	return nil
}

// AddArch registers --arch.
func AddArch(fs *pflag.FlagSet, arch *string) {
	fs.Var((*archFlag)(arch), "arch", "the kernel's architecture, "+strings.Join(machine.Names(), " or ")+" (default: the image's, else this machine's)")
	flagvalue.SetKnown(fs, "arch", machine.Names()...)
}
