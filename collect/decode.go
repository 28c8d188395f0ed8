// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/mapprof/mapprof/probes"
)

// DecodeError is returned for a ring-buffer record that is not an event.
type DecodeError struct {
	Len  int
	Kind uint32
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decode event: kind %d with %d bytes", e.Kind, e.Len)
}

// decode returns a *probes.DeathEvent, *probes.WaitEvent or *probes.GPEvent.
func decode(raw []byte) (any, error) {
	if len(raw) < 4 {
		return nil, &DecodeError{Len: len(raw)}
	}
	var event any
	var size uintptr
	kind := binary.NativeEndian.Uint32(raw)
	switch kind {
	case probes.KindDeath:
		event, size = new(probes.DeathEvent), unsafe.Sizeof(probes.DeathEvent{})
	case probes.KindWait:
		event, size = new(probes.WaitEvent), unsafe.Sizeof(probes.WaitEvent{})
	case probes.KindGP:
		event, size = new(probes.GPEvent), unsafe.Sizeof(probes.GPEvent{})
	}
	if event == nil || len(raw) != int(size) {
		return nil, &DecodeError{Len: len(raw), Kind: kind}
	}
	_, err := binary.Decode(raw, binary.NativeEndian, event)
	return event, err
}

// cString returns the bytes before the first NUL.
func cString(b []int8) string {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if c == 0 {
			break
		}
		out = append(out, byte(c))
	}
	return string(out)
}
