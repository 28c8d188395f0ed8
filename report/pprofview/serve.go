// SPDX-License-Identifier: Apache-2.0

package pprofview

import (
	"fmt"
	"net"
	"net/http"

	"github.com/google/pprof/driver"

	"github.com/mapprof/mapprof/report/internal/served"
)

// listen serves pprof's web view: read-only, and where it listens on
// loopback only for requests that name a loopback host, so that a web page
// can't reach it by a name of its own that leads here.
func listen(args *driver.HTTPServerArgs) error {
	ln, err := net.Listen("tcp", args.Hostport)
	if err != nil {
		return fmt.Errorf("serve web view: %w (choose another port with -http)", err)
	}
	return served.Server(handler(args)).Serve(ln)
}

func handler(args *driver.HTTPServerArgs) http.Handler {
	handlers := harmlessViews(args.Handlers)
	names := served.Names{Loopback: served.IsLoopback(args.Host), AnyPort: true, Other: func(string) bool { return true }}
	views := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := handlers[r.URL.Path]
		if h == nil {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
	mux := http.NewServeMux()
	// Under a prefix, as in pprof's own server: its links are relative.
	mux.Handle("/ui/", http.StripPrefix("/ui", views))
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/ui/?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !names.Has(r.Host) {
			http.Error(w, "this host name isn't served", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
