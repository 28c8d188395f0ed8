// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// threadStatus tells what a thread does.
type threadStatus struct{ *os.File }

// openThreadStatus is for the calling thread, which is locked, to be asked by
// others.
func openThreadStatus() (threadStatus, error) {
	f, err := os.Open(fmt.Sprintf("/proc/self/task/%d/stat", unix.Gettid()))
	return threadStatus{f}, err
}

// waits tells whether it sleeps uninterruptibly, which in an update or a delete
// of an outer map it does in synchronize_rcu*() only.
func (s threadStatus) waits() bool {
	var buf [256]byte
	n, err := s.ReadAt(buf[:], 0)
	if n == 0 && err != nil {
		return false
	}
	// "81 (comm) D 1 …", and the comm may hold anything.
	stat := string(buf[:n])
	i := strings.LastIndex(stat, ") ")
	return i >= 0 && len(stat) > i+2 && (stat[i+2] == 'D' || stat[i+2] == 'I')
}
