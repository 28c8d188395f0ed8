// SPDX-License-Identifier: Apache-2.0

// Package runschema has no code but tests: they write docs/run.schema.json and
// docs/death.schema.json out of the types of package results, and hold both to runs.
package runschema
