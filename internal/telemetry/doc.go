// Package telemetry turns what the parts of a server count into Prometheus
// metrics. It knows the parts; they do not know it: each has a function or a
// snapshot of counters of its own, and package app connects them.
//
// Every label has a bounded set of values. What may grow with use, such as the
// gateways that customers make, is cut off by a label of its own, "other". No
// metric names an account, a number or a call: those belong in records.
package telemetry
