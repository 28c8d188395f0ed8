// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"debug/elf"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// Machine is what one architecture's machines are like.
type Machine struct {
	Arch string // as Go and Debian call it
	ELF  elf.Machine

	QEMU    string // the program
	Package string // Debian's, that has it
	Board   string // of -machine
	// CPU is everything that the emulator can do, less what makes it slower. CPU8 are
	// features that QEMU knows from 8.0 on.
	CPU, CPU8 string
	// Ports are QEMU's arguments for console and channel, two character devices of
	// these names; Channel is the second in the guest.
	Ports   []string
	Channel string
	// Needs is what a kernel without that channel lacks.
	Needs string

	// Cmdline is for every guest's kernel, TCG for one that is emulated.
	Cmdline, TCG []string
	// TellTasks are the parameters that make a kernel panic by a non-maskable interrupt,
	// and print the stack of every task (Linux,
	// Documentation/admin-guide/kernel-parameters.txt). They do nothing before. Empty:
	// the machine has no such interrupt.
	TellTasks []string
	// CounterKHz is the parameter that tells a kernel how fast the counter runs that
	// it would measure; empty: the machine tells it.
	CounterKHz string
	// SharesUnderKVM: a guest under KVM sees memory shared with it as the host does.
	SharesUnderKVM bool

	// Image is what a kernel's tree builds, Images is what it may be given as.
	Image, Images string
	// CacheSuffix sets apart what the cache has of one version. amd64's was there first.
	CacheSuffix string
	// Libraries are directories of Debian's with libraries of this architecture.
	Libraries []string
}

var machines = []Machine{
	{
		Arch: "amd64", ELF: elf.EM_X86_64,
		QEMU: "qemu-system-x86_64", Package: "qemu-system-x86",
		Board: "pc,usb=off,vmport=off",
		// 5-level paging lengthens every page walk. A CPU that is fast with strings of
		// bytes has the kernel and Go clear and copy memory by the byte, which is
		// emulated by the byte; without, they do it by eight (Linux, clear_page_64.S,
		// memcpy_64.S; Go, memmove_amd64.s).
		CPU:   "max,la57=off,erms=off,fsrm=off",
		CPU8:  ",fsrs=off,fzrm=off",
		Ports: []string{"-serial", "chardev:console", "-serial", "chardev:channel"},
		// Two ports are all there are; probing 30 more takes its time.
		Cmdline: []string{"console=ttyS0", "8250.nr_uarts=2"},
		Channel: "/dev/ttyS1",
		Needs:   "a second 8250 port: CONFIG_SERIAL_8250_RUNTIME_UARTS >= 2",
		// The timer check busy-waits, and can fail under emulation on a
		// loaded host ("IO-APIC + timer doesn't work").
		// The emulated TSC is one counter for all CPUs, so none can be
		// ahead. Unasked, kernels before 6.12 fall back to the HPET,
		// whose every read costs 2 µs, and later ones may in mid-run.
		TCG:            []string{"no_timer_check", "tsc=reliable"},
		TellTasks:      []string{"unknown_nmi_panic", "panic_print=0x41"}, // tasks, and CPUs (5.18)
		CounterKHz:     "tsc_early_khz",
		SharesUnderKVM: true,
		Image:          "arch/x86/boot/bzImage", Images: "a bzImage",
		Libraries: []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"},
	},
	{
		Arch: "arm64", ELF: elf.EM_AARCH64,
		QEMU: "qemu-system-aarch64", Package: "qemu-system-arm",
		Board: "virt,usb=off,gic-version=max",
		// Authentication of pointers by the architecture's own algorithm takes
		// half of the time. Longer addresses lengthen every page walk, and larger
		// registers every switch of tasks.
		CPU: "max,pauth-impdef=on,lpa2=off,sve=off,sme=off",
		// The board has one port before QEMU 9.1; on PCI there is room.
		Ports:   []string{"-serial", "chardev:console", "-device", "pci-serial,chardev=channel"},
		Cmdline: []string{"console=ttyAMA0"},
		Channel: "/dev/ttyS0",
		Needs:   "a serial port on PCI: CONFIG_SERIAL_8250_PCI and CONFIG_PCI_HOST_GENERIC",
		Image:   "arch/arm64/boot/Image", Images: "an Image, gzipped or in an EFI program (vmlinuz.efi)",
		CacheSuffix: "-arm64",
		Libraries:   []string{"/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu"},
	},
}

// Of is the row of an architecture; empty: of the default.
func Of(arch string) (*Machine, error) {
	if arch == "" {
		arch = Default()
	}
	i := slices.IndexFunc(machines, func(m Machine) bool { return m.Arch == arch })
	if i < 0 {
		return nil, fmt.Errorf("architecture %q is not one of %s", arch, strings.Join(Names(), ", "))
	}
	return &machines[i], nil
}

// Default is the architecture of this program, or where no machine is known for that
// the table's first.
func Default() string {
	if slices.Contains(Names(), runtime.GOARCH) {
		return runtime.GOARCH
	}
	return machines[0].Arch
}

// Here is the row of this program's architecture, or the default.
func Here() *Machine {
	m, err := Of("")
	if err != nil {
		panic(err) // the default is in the table
	}
	return m
}

// All are the rows.
func All() []Machine { return slices.Clone(machines) }

// Names are the architectures, in the table's order.
func Names() []string {
	names := make([]string, len(machines))
	for i, m := range machines {
		names[i] = m.Arch
	}
	return names
}
