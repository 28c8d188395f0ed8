// SPDX-License-Identifier: Apache-2.0

// Package median is the one median of this repository: the middle value, or the
// mean of the two in the middle.
package median
