// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net"
	"net/http"
	"strings"

	"github.com/mapprof/mapprof/report/internal/served"
)

const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard lets through only what is asked of a name that this server goes by: a
// page from elsewhere can make a name of its own lead here, and would read the
// answers as its own. All of it only reads, but for what the patterns that begin
// with POST name, which only a page of this server may ask for.
func guard(next *http.ServeMux, allowed func(host string) bool) http.Handler {
	foreign := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // with none, a form's origin wouldn't be told either
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !allowed(r.Host) {
			http.Error(w, "this host name isn't served (use the address that mapprof web printed)", http.StatusForbidden)
			return
		}
		_, pattern := next.Handler(r)
		switch {
		case r.Method == http.MethodGet, r.Method == http.MethodHead:
		case r.Method == http.MethodPost && strings.HasPrefix(pattern, "POST "):
			// A browser always says where a form is from.
			if foreign.Check(r) != nil || r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
				http.Error(w, "only a page of this server may change a note", http.StatusForbidden)
				return
			}
		default:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "this server only reads", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowedHosts accepts the Host headers of a server that listens on addr. On
// loopback these are loopback's names. Elsewhere they are addresses too, since
// no name that somebody made up is one, and the name that was asked for. The
// port is always the server's.
func allowedHosts(addr net.Addr, name string) func(string) bool {
	loopback, port := true, ""
	if tcp, ok := addr.(*net.TCPAddr); ok {
		loopback = tcp.IP.IsLoopback()
		_, port, _ = net.SplitHostPort(tcp.String())
	}
	return served.Names{Loopback: loopback, Port: port, Other: func(host string) bool {
		return net.ParseIP(host) != nil || name != "" && strings.EqualFold(host, name)
	}}.Has
}
