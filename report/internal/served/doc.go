// SPDX-License-Identifier: Apache-2.0

// Package served is what the servers of report share: which names they go by,
// and pages that are only a message.
package served
