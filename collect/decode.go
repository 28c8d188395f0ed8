// SPDX-License-Identifier: Apache-2.0

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

// decode returns a death or a wait; exactly one is non-nil without an error.
func decode(raw []byte) (*probes.DeathEvent, *probes.WaitEvent, error) {
	if len(raw) < 4 {
		return nil, nil, &DecodeError{Len: len(raw)}
	}
	kind := binary.NativeEndian.Uint32(raw)
	switch {
	case kind == probes.KindDeath && len(raw) == int(unsafe.Sizeof(probes.DeathEvent{})):
		d := new(probes.DeathEvent)
		_, err := binary.Decode(raw, binary.NativeEndian, d)
		return d, nil, err
	case kind == probes.KindWait && len(raw) == int(unsafe.Sizeof(probes.WaitEvent{})):
		w := new(probes.WaitEvent)
		_, err := binary.Decode(raw, binary.NativeEndian, w)
		return nil, w, err
	}
	return nil, nil, &DecodeError{Len: len(raw), Kind: kind}
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
