package templates

import (
	"errors"
	"fmt"
	"html/template"
	"net/netip"
	"net/url"
	"strings"
)

// errLink: a page was handed an address it must not link to. Nothing of it is printed: it may
// hold a code.
var errLink = errors.New("address not fit for a link")

// checkExit refuses every way out of the bridge but https, and http to the person's own computer
// (RFC 8252 §7.3). html/template lets the same schemes through; this is the lock that knows
// what loopback is.
func checkExit(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("%w: not a URL", errLink)
	}
	if u.Host == "" || u.User != nil {
		return fmt.Errorf("%w: no host, or somebody named before it", errLink)
	}
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%w: neither https nor http to loopback", errLink)
}

// checkOwn refuses every address that could lead off this origin: "" or a path from the root.
func checkOwn(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(address, "/") ||
		strings.HasPrefix(address, "//") || strings.Contains(address, `\`) {
		return fmt.Errorf("%w: not a path of this origin", errLink)
	}
	return nil
}

// checkAuthenticator refuses every address but one that an authenticator app opens.
func checkAuthenticator(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || !u.Query().Has("secret") {
		return fmt.Errorf("%w: not for an authenticator app", errLink)
	}
	return nil
}

// checkOwns is checkOwn for several addresses.
func checkOwns(addresses ...string) error {
	for _, address := range addresses {
		if err := checkOwn(address); err != nil {
			return err
		}
	}
	return nil
}

// authenticator vouches for an address that checkAuthenticator lets through, for html/template knows
// no such scheme; "" otherwise.
func authenticator(address string) template.URL {
	if checkAuthenticator(address) != nil {
		return ""
	}
	return template.URL(address) //nolint:gosec // checked
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// hostOf is the host[:port] of a checked exit, as it is shown.
func hostOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("%w: not a URL", errLink)
	}
	return asciiHost(u.Host), nil
}

// denied reports whether an exit carries a refusal and no code. The page says what the address
// says, so the two cannot differ.
func denied(address string) (bool, error) {
	u, err := url.Parse(address)
	if err != nil {
		return false, fmt.Errorf("%w: not a URL", errLink)
	}
	return u.Query().Has("error") && !u.Query().Has("code"), nil
}

// website is the client's own site where it may be linked: https, and on one of the very hosts the
// person is told about; "" otherwise (CO-18).
func website(client Client) string {
	u, err := url.Parse(client.Website)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Host == "" || u.Host != client.RedirectHost && u.Host != client.DocumentHost {
		return ""
	}
	return u.String()
}
