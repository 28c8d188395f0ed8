// SPDX-License-Identifier: Apache-2.0

package html

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"

	"github.com/mapprof/mapprof/report/model"
)

//go:embed assets
var assets embed.FS

// The script and the style of every page. uPlot comes with its licence, which
// goes into a page that has uPlot in it.
var (
	pageScript = "/*\n" + asset("uplot/LICENSE") + "*/\n" + asset("uplot/uPlot.iife.min.js") + "\n" + asset("report.js")
	pageStyle  = asset("uplot/uPlot.min.css") + "\n" + asset("report.css")
)

func asset(name string) string {
	data, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(data)
}

// ServedAsset is what a page that isn't a file of its own asks its server for.
func ServedAsset(name string) (body, contentType string, ok bool) {
	switch name {
	case "report.css":
		return pageStyle, "text/css; charset=utf-8", true
	case "report.js":
		return pageScript, "text/javascript; charset=utf-8", true
	case "icon.svg":
		return asset("icon.svg"), "image/svg+xml", true
	}
	return "", "", false
}

var pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"phaseText": func(p string) string { return model.PhaseText[p] },
}).ParseFS(assets, "assets/page.html", "assets/parts.html", "assets/index.html"))

func sourceHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
