// SPDX-License-Identifier: Apache-2.0

// Package guest is the side of a VM that runs in it: PID 1, which mounts, starts
// the job and switches the machine off, and the job's way to the host.
//
// In: the job's command line and a task's request in the initramfs. Out: frames
// of package wire through a serial port: progress, files, a reply, how the job
// ended. Init is called first thing in main, and returns only outside of a VM.
//
// It doesn't know what a task does. A Channel is safe for concurrent use.
package guest
