// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import "io"

// discard is a task.Uplink to nowhere.
type discard struct{}

func (discard) Part(string) (io.WriteCloser, error) { return nowhere{io.Discard}, nil }

func (discard) Commit(string) error { return nil }

type nowhere struct{ io.Writer }

func (nowhere) Close() error { return nil }
