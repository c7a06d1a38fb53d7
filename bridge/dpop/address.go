package dpop

import (
	"net/url"
	"strings"
)

// sameAddress reports whether a proof's htu names the endpoint, as far as RFC 3986 §6.2.2 and §6.2.3
// call two spellings the same: scheme and host in any case, the default port given or not, no path or a
// slash, unreserved characters escaped or not. Query and fragment of the htu are not looked at
// (RFC 9449 §4.3). Slashes at the end of a path count.
func sameAddress(htu, endpoint string) bool {
	if htu == endpoint {
		return true
	}
	named, ok := normal(htu)
	if !ok {
		return false
	}
	own, ok := normal(endpoint)
	return ok && named == own
}

// address is what is compared of a URL.
type address struct{ scheme, host, path string }

func normal(text string) (address, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" || strings.ContainsAny(text, "\\ ") {
		return address{}, false
	}
	path := u.Path // decoded: an escaped slash is no slash, so a path that has one is not compared
	if strings.Contains(strings.ToLower(u.RawPath), "%2f") {
		return address{}, false
	}
	if path == "" {
		path = "/"
	}
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[scheme]
	}
	return address{scheme: scheme, host: strings.ToLower(u.Hostname()) + ":" + port, path: path}, true
}
