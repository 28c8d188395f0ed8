// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// StructSizes returns the sizes in bytes of the running kernel's structs, from
// its BTF. A struct that this kernel doesn't have is left out.
func StructSizes(names ...string) (map[string]uint64, error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("read the kernel's BTF: %w", err)
	}
	sizes := map[string]uint64{}
	for _, name := range names {
		var s *btf.Struct
		if err := spec.TypeByName(name, &s); err == nil {
			sizes[name] = uint64(s.Size)
		}
	}
	return sizes, nil
}
