// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"runtime"
)

// OpenBrowser shows a page of this program's own. Where that fails the
// address has been printed.
func OpenBrowser(ctx context.Context, at string) {
	if _, err := url.Parse(at); err != nil {
		return
	}
	command := []string{"xdg-open", at}
	if runtime.GOOS == "darwin" {
		command[0] = "open"
	} else if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return // xdg-open would start a text browser on this terminal
	}
	browser := exec.CommandContext(ctx, command[0], command[1])
	if browser.Start() == nil {
		go func() { _ = browser.Wait() }()
	}
}
