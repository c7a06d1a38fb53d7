package clients

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
)

const maxRedirectBytes = 512

// answerParameters are ours to add to a redirect; a registered URI must not bring its own (AZ-37).
var answerParameters = [...]string{"code", "state", "iss", "error", "error_description", "error_uri"}

// MatchRedirect reports whether requested is one of the registered redirect URIs.
//
// The comparison is of bytes: no case folding, no decoding, no tolerance for slashes, queries or
// user names (AS-026). One thing flexes: for http on a loopback host everything but the port has
// to match, and each of the three hosts matches only itself (AS-028, RFC 8252 §7.3).
func MatchRedirect(registered []string, requested string) bool {
	for _, uri := range registered {
		if uri == requested {
			return true
		}
		host, rest, ok := splitLoopback(uri)
		if !ok {
			continue
		}
		askedHost, askedRest, ok := splitLoopback(requested)
		if ok && askedHost == host && askedRest == rest {
			return true
		}
	}
	return false
}

// splitLoopback takes a raw http loopback URI apart into its host and what follows the port. It
// works on the raw string, so that no parser's idea of equality creeps in.
func splitLoopback(uri string) (host, rest string, ok bool) {
	after, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return "", "", false
	}
	for _, loopback := range [...]string{"localhost", "127.0.0.1", "[::1]"} {
		tail, found := strings.CutPrefix(after, loopback)
		if !found {
			continue
		}
		if digits, hasPort := strings.CutPrefix(tail, ":"); hasPort {
			end := strings.IndexAny(digits, "/?")
			if end < 0 {
				end = len(digits)
			}
			if !validPort(digits[:end]) {
				return "", "", false
			}
			tail = digits[end:]
		}
		if tail == "" || tail[0] == '/' || tail[0] == '?' {
			return loopback, tail, true
		}
	}
	return "", "", false
}

func validPort(digits string) bool {
	n, err := strconv.ParseUint(digits, 10, 16)
	return err == nil && n > 0 && digits[0] != '0' && digits[0] != '+'
}

// CheckRedirect says what is wrong with a redirect URI that a client wants to use, as an
// invalid_redirect_uri error, or returns nil. https to any host and http to a loopback host are
// good (AS-029).
func CheckRedirect(uri string) error {
	if err := checkRedirectBytes(uri); err != nil {
		return err
	}
	parsed, err := url.Parse(uri)
	if err != nil || parsed.Opaque != "" || parsed.Host == "" {
		return badRedirect("is not an absolute URI with a host")
	}
	switch {
	case parsed.User != nil || strings.Contains(parsed.Host, "@"):
		return badRedirect("holds user information")
	case strings.HasPrefix(uri, "https://"):
		if !plainHost(parsed.Hostname()) {
			return badRedirect("has a host that is no plain name or address")
		}
		if port := parsed.Port(); port != "" && !validPort(port) || strings.HasSuffix(parsed.Host, ":") {
			return badRedirect("has a port that is none")
		}
	case strings.HasPrefix(uri, "http://"):
		if _, _, ok := splitLoopback(uri); !ok {
			return badRedirect("uses http but not to a loopback host")
		}
	default:
		return badRedirect("is neither https nor http to a loopback host")
	}
	query, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		return badRedirect("has a query that cannot be read")
	}
	for _, name := range answerParameters {
		if query.Has(name) {
			return badRedirect("has a query parameter that belongs to the answer")
		}
	}
	return nil
}

func checkRedirectBytes(uri string) error {
	if uri == "" || len(uri) > maxRedirectBytes {
		return badRedirect("has no acceptable length")
	}
	for i := range len(uri) {
		if c := uri[i]; c <= ' ' || c > '~' || strings.IndexByte("\\\"<>^`{|}*#", c) >= 0 {
			return badRedirect("holds a character that is not allowed there")
		}
	}
	return nil
}

// plainHost accepts DNS names in ASCII and addresses.
func plainHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if host == "" || len(host) > 253 || host[0] == '.' || host[0] == '-' || strings.Contains(host, "..") {
		return false
	}
	for i := range len(host) {
		c := host[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

// foreignScheme reports whether uri has a scheme that only some program on a device knows, such
// as cursor:. Those are left out of a registration rather than sinking it (B38).
func foreignScheme(uri string) bool {
	scheme, _, ok := strings.Cut(uri, ":")
	if !ok || scheme == "" {
		return false
	}
	switch strings.ToLower(scheme) {
	case "http", "https", "javascript", "data", "file", "vbscript", "blob", "about", "filesystem", "view-source", "ws", "wss", "ftp":
		return false
	}
	for i := range len(scheme) {
		c := scheme[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return checkRedirectBytes(uri) == nil
}

// Loopback reports whether a redirect URI leads to the person's own computer.
func Loopback(uri string) bool {
	if _, _, ok := splitLoopback(uri); ok {
		return true
	}
	parsed, err := url.Parse(uri)
	if err != nil {
		return false
	}
	if parsed.Hostname() == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(parsed.Hostname())
	return err == nil && addr.Unmap().IsLoopback()
}

func badRedirect(what string) error {
	return bridge.Refuse("invalid_redirect_uri", "A redirect URI %s", what)
}
