// SPDX-License-Identifier: Apache-2.0

// Package workloadtest holds workloads to what they say of their parameters. It
// is for the tests of their packages, and only there.
package workloadtest
