// SPDX-License-Identifier: Apache-2.0

package served

import (
	"net/http"
	"time"
)

// stallLimit is how long a client may take nothing of an answer. A whole answer
// has no limit: it may be large, and the client's link slow.
var stallLimit = 30 * time.Second

// Server returns a server that no client can hold up: what it doesn't say in
// time isn't waited for, and what it doesn't take in time neither.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := &stallWriter{ResponseWriter: w, control: http.NewResponseController(w)}
			s.renew()
			h.ServeHTTP(s, r)
			s.renew() // for what is still buffered
		}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// stallWriter gives each part of an answer its own time.
type stallWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (s *stallWriter) renew() { _ = s.control.SetWriteDeadline(time.Now().Add(stallLimit)) }

// Write implements io.Writer.
func (s *stallWriter) Write(p []byte) (n int, err error) {
	const part = 64 << 10
	for err == nil && n < len(p) {
		s.renew()
		var k int
		k, err = s.ResponseWriter.Write(p[n:min(n+part, len(p))])
		n += k
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (s *stallWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
