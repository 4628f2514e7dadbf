// Package transport carries SIP messages over UDP, TCP and TLS. It knows nothing of what
// they say but where each begins and ends.
//
// Transport owns the sockets (transport.go, listener.go), the connections (stream.go,
// tls.go) and their budgets (budget.go). Filter stands in front of the parser: it drops what
// comes from sources that it does not know (filter.go) or that are banned (ban.go). What
// strangers are answered has a budget for all of them together (answers.go). own.go says how each peer
// reaches this server. Resolver finds the addresses of gateways (resolve.go, dns.go).
package transport
