// SPDX-License-Identifier: Apache-2.0

// Package mapcalls is the workload that makes bpf(2)'s calls for elements, single and
// batched, on maps of any type: each call by itself, to see what it costs and how often it
// waits for a grace period. Maps of maps wait, and what they wait for has changed with
// 9263dddc7b6f (5.19), 37ba5b59d6ad, 012772581d04 and c26f2a890139 (6.8).
//
// In: types of maps, calls, elements of a batch. Out: for each type and call how long one
// takes, how many waits are in it, what of it is waiting, or the errno of a refusal. What a
// lookup gives is checked: of a map of maps it is the id of the inner map (14dc6f04f4).
//
// It knows no other workload, and of probes only workloads.Tracer. One goroutine, locked to
// its thread. Inner maps stay open: none dies.
package mapcalls
