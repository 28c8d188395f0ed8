// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	pprof "github.com/google/pprof/profile"
)

// maxProfileBytes bounds an uncompressed profile that is read: it may be a
// stranger's.
const maxProfileBytes = 64 << 20

// Merge returns the sum of profiles that have the same sample types.
// Samples with equal stacks and labels become one. A profile's durations add
// up; the sources are left as they are.
func Merge(ps []*pprof.Profile) (*pprof.Profile, error) {
	if len(ps) == 0 {
		return nil, errors.New("merge profiles: there are none")
	}
	for i, p := range ps {
		// pprof.Merge panics without a period type.
		if p == nil || p.PeriodType == nil {
			return nil, fmt.Errorf("merge profiles: number %d has no period type (was it made by mapprof?)", i+1)
		}
		if err := p.CheckValid(); err != nil {
			return nil, fmt.Errorf("merge profiles: number %d: %w", i+1, err)
		}
	}
	m, err := pprof.Merge(ps)
	if err != nil {
		return nil, fmt.Errorf("merge profiles: %w", err)
	}
	return m, nil
}

// Write writes p as gzipped protocol buffer. Equal profiles give equal
// bytes. It doesn't use Profile.Write, which drops the error of the last
// flush.
func Write(w io.Writer, p *pprof.Profile) error {
	if err := p.CheckValid(); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	zw := gzip.NewWriter(w)
	if err := errors.Join(p.WriteUncompressed(zw), zw.Close()); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	return nil
}

// Read reads what Write writes. Other pprof formats, and
// profiles that are too large, be it in bytes or in samples, are refused.
func Read(r io.Reader) (*pprof.Profile, error) {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(zr, maxProfileBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read profile: %w", err)
	case len(data) > maxProfileBytes:
		return nil, fmt.Errorf("read profile: larger than %d MiB", maxProfileBytes>>20)
	}
	if err := checkMemory(data); err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	p, err := pprof.ParseUncompressed(data)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	if err := p.CheckValid(); err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return p, nil
}
