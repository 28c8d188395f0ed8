// SPDX-License-Identifier: Apache-2.0

// Package jsonsize estimates what a run.json takes in memory before it is decoded: two
// bytes of JSON can be a structure of a thousand.
package jsonsize
