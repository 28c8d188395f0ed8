// SPDX-License-Identifier: Apache-2.0

package results

// Startup is what a recording takes before it watches.
type Startup struct {
	// WatchingNS is from the begin of the trial until deaths are watched.
	WatchingNS int64 `json:"watching_ns"`
	// AttachNS is the part of it in which programs are loaded and attached, those of
	// the inventory too. The kernel's types are decoded for it.
	AttachNS int64 `json:"attach_ns"`
	// InventoryNS is the part of it in which the live maps are listed.
	InventoryNS int64 `json:"inventory_ns"`
}

// BeyondAttachNS is what it takes beside attaching.
func (s *Startup) BeyondAttachNS() int64 { return s.WatchingNS - s.AttachNS }
