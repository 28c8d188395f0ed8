// SPDX-License-Identifier: Apache-2.0

package served

import (
	"bytes"
	"net/http"

	"github.com/mapprof/mapprof/report/html"
)

// Note is an answer that is only a message.
func Note(status int, title, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var buf bytes.Buffer
		if err := html.WriteNote(&buf, title, text); err != nil {
			http.Error(w, title, status)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write(buf.Bytes())
	})
}
