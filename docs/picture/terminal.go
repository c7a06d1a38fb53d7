package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

// The measures of the terminal, in the image's own units.
const (
	cellWidth  = 7.85
	lineHeight = 20
	margin     = 20
	barHeight  = 34
)

// terminal draws lines as a terminal shows them.
func terminal(title string, lines []string) []byte {
	widest := 0
	for _, line := range lines {
		widest = max(widest, utf8.RuneCountInString(line))
	}
	width := int(float64(widest)*cellWidth) + 2*margin
	height := barHeight + len(lines)*lineHeight + margin
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title">
<title id="title">%s</title>
<style>
  .page { fill: #ffffff; stroke: #d6dfdd } .bar { fill: #e7eeec } .dot { fill: #b9c6c3 }
  text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #17211f; white-space: pre }
  .command { font-weight: 700; fill: #0f6a66 } .head { font-weight: 700 } .rest { fill: #73827f }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0e1514; stroke: #2b3836 } .bar { fill: #182120 } .dot { fill: #43524f }
    text { fill: #e4ecea } .command { fill: #63c7c0 } .rest { fill: #8fa09c }
  }
</style>
<rect class="page" x="0.5" y="0.5" width="%d" height="%d" rx="9"/>
<path class="bar" d="M1 24V10a9 9 0 0 1 9-9h%da9 9 0 0 1 9 9v14z"/>
<circle class="dot" cx="18" cy="13" r="4.5"/><circle class="dot" cx="34" cy="13" r="4.5"/><circle class="dot" cx="50" cy="13" r="4.5"/>
`, width, height, html.EscapeString(title), width-1, height-1, width-20)
	for i, line := range lines {
		if line == "" {
			continue
		}
		fmt.Fprintf(&out, "<text%s x=\"%d\" y=\"%d\" textLength=\"%d\" xml:space=\"preserve\">%s</text>\n",
			classOf(line), margin, barHeight+(i+1)*lineHeight-4, int(float64(utf8.RuneCountInString(line))*cellWidth), html.EscapeString(line))
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

func classOf(line string) string {
	switch {
	case strings.HasPrefix(line, "$ "):
		return ` class="command"`
	case strings.HasPrefix(line, "TOOL ") || strings.Contains(line, " tools, "):
		return ` class="head"`
	case line == "…":
		return ` class="rest"`
	}
	return ""
}
