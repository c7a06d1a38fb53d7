package templates

import (
	"net/url"
	"strings"
)

// asciiHost is host[:port] as it is shown. Hosts are ASCII by the time they get here, for redirect
// URIs of other characters are refused; should one slip through, everything else is escaped, so that
// a Cyrillic "сlaude.ai" does not read like a Latin one (CO-16).
func asciiHost(host string) string {
	var shown strings.Builder
	for _, r := range strings.ToLower(clean(host)) {
		if r > '~' {
			shown.WriteString(url.PathEscape(string(r)))
			continue
		}
		shown.WriteRune(r)
	}
	return shown.String()
}
