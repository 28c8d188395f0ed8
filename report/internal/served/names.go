// SPDX-License-Identifier: Apache-2.0

package served

import (
	"net"
	"strings"
)

// Names are the names that a server goes by. A page from elsewhere can make a
// name of its own lead here, and would read the answers as its own.
type Names struct {
	Loopback bool                   // it listens on loopback only, and goes by loopback's names
	Port     string                 // the server's
	AnyPort  bool                   // Port is not looked at
	Other    func(host string) bool // elsewhere: what it goes by beside loopback's names
}

// Has reports whether a Host header names the server.
func (n Names) Has(hostport string) bool {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, port = strings.Trim(hostport, "[]"), "80"
	}
	if !n.AnyPort && port != n.Port {
		return false
	}
	return IsLoopback(host) || !n.Loopback && n.Other(host)
}

// IsLoopback reports whether a host is a name or an address of loopback.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
