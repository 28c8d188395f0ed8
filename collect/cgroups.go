// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cgroupPaths finds the path of a cgroup by its id, which is the inode of its
// directory: told when it is made, or else looked for in the tree.
type cgroupPaths struct {
	root   string
	paths  map[uint64]string
	looked time.Time
}

// lookEvery is how often what isn't known is looked for, at most.
const lookEvery = time.Second

// maxCgroups bounds what is remembered of cgroups.
const maxCgroups = 1 << 16

func newCgroupPaths(root string) *cgroupPaths {
	c := &cgroupPaths{root: root, paths: map[uint64]string{}}
	c.look()
	return c
}

// made takes up that a cgroup was made, as the kernel tells. What was read of the tree
// is kept: in a namespace of cgroups its paths are shorter.
func (c *cgroupPaths) made(id uint64, path string) {
	if _, ok := c.paths[id]; !ok && path != "" && len(c.paths) <= maxCgroups {
		c.paths[id] = path
	}
}

// path is the path below the root, "/" for the root itself. Of a cgroup that was
// gone before it was looked for it is its id.
func (c *cgroupPaths) path(id uint64) string {
	if id == 0 {
		return ""
	}
	if p, ok := c.paths[id]; ok {
		return p
	}
	if time.Since(c.looked) >= lookEvery {
		c.look()
		if p, ok := c.paths[id]; ok {
			return p
		}
	}
	return fmt.Sprintf("cgroup %d", id)
}

// look reads the tree. What has gone is remembered: its deaths are still to come.
func (c *cgroupPaths) look() {
	if len(c.paths) > maxCgroups {
		clear(c.paths)
	}
	// What can't be read is not there.
	_ = filepath.WalkDir(c.root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				c.paths[st.Ino] = "/" + strings.TrimPrefix(strings.TrimPrefix(name, c.root), "/")
			}
		}
		return nil
	})
	c.looked = time.Now()
}
