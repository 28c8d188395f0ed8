// SPDX-License-Identifier: Apache-2.0

// Package task is work that is done on the kernel of a target: in this process
// on a local one, in a guest on a VM.
//
// In: a request, which is JSON. Out: a reply, which is JSON too, progress on
// the way, and files in a directory, or by an Uplink while the task runs. A
// Handler does one kind of work; whoever puts a program together collects them by
// name. The package knows nothing of what is done and where.
package task
