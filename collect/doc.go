// Package collect is what comes out of the kernel: it reads the tracer's ring
// buffer, decodes it, waits until every death has ended or its time is up,
// resolves stacks to names, and accounts for everything that was missed.
//
// In: attached probes. Out: to a Sink, as they come, every results.Death and
// update wait; at the end an Outcome of counts that must balance: puts = freed + in
// flight + lost. It keeps no death, whatever their number.
//
// It imports probes and results. It computes no statistics (analyze does) and
// knows no workload.
package collect
