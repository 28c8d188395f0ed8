// SPDX-License-Identifier: Apache-2.0

package html

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"

	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

//go:embed assets
var assets embed.FS

// The script of every page, and what of its style no table says. uPlot comes
// with its licence, which goes into a page that has uPlot in it.
var (
	pageScript = "/*\n" + asset("uplot/LICENSE") + "*/\n" + asset("uplot/uPlot.iife.min.js") + "\n" + asset("address.js") + asset("report.js") + asset("keys.js")
	fixedStyle = asset("uplot/uPlot.min.css") + "\n" + asset("report.css")
)

// pageStyle is the style of every page.
func pageStyle() string { return fixedStyle + phaseStyle(results.Phases()) }

// phaseStyle is what depends on the table of phases: a colour and a class for
// each that has one, and a panel for each that has a chart.
func phaseStyle(phases []results.Phase) string {
	var light, dark, classes, panels strings.Builder
	for i, p := range phases {
		if p.Color != (results.Color{}) {
			fmt.Fprintf(&light, " --p-%s: %s;", p.Name, p.Color.Light)
			fmt.Fprintf(&dark, " --p-%s: %s;", p.Name, p.Color.Dark)
			fmt.Fprintf(&classes, ".%s { --c: var(--p-%s); }\n", model.PhaseClass(p.Name), p.Name)
		}
		if i > 0 {
			panels.WriteString(",\n")
		}
		fmt.Fprintf(&panels, ".tabs > input:nth-of-type(%d):checked ~ .panels > :nth-child(%[1]d)", i+1)
	}
	root := func(colors string) string { return ":root {" + colors + " }" }
	return "\n/* phases */\n" + root(light.String()) + "\n" +
		"@media (prefers-color-scheme: dark) { " + root(dark.String()) + " }\n" +
		"@media print { " + root(light.String()) + " }\n" +
		classes.String() + panels.String() + " { display: block; }\n"
}

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
		return pageStyle(), "text/css; charset=utf-8", true
	case "report.js":
		return pageScript, "text/javascript; charset=utf-8", true
	case "icon.svg":
		return asset("icon.svg"), "image/svg+xml", true
	}
	return "", "", false
}

var pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"phaseText":  model.PhaseText,
	"phaseClass": model.PhaseClass,
	"phaseSpan":  phaseSpan,
}).ParseFS(assets, "assets/page.html", "assets/parts.html", "assets/index.html", "assets/history.html", "assets/trend.html"))

// phaseSpan says what a phase lies between.
func phaseSpan(name string) string {
	p, _ := results.PhaseNamed(name)
	return "from " + p.From + " to " + p.To
}

func sourceHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
