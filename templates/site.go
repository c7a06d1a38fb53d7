package templates

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
)

// Site is what the pages of one deployment say of it.
type Site struct {
	Issuer   string       // the public origin; https makes browsers insist on it
	Operator string       // who runs it, as people know them; may be empty
	Contact  string       // an e-mail address, an https URL, or words; may be empty
	Log      *slog.Logger // told of pages that could not be rendered; nil: nobody is
}

// siteView is Site with the words the templates need.
type siteView struct {
	Issuer, Host        string
	Operator            string // without a dot at its end: sentences end with it
	Contact, ContactURL string
	CookieName          string // of a flow's cookie, without its own ending
	VisitCookie         string // of a visit to the connections
	PrivacyURL          string
	ConnectionsURL      string
	https               bool
}

var errSite = errors.New("the site's description is incomplete")

func (s Site) view() (siteView, error) {
	issuer, err := url.Parse(s.Issuer)
	if err != nil || issuer.Host == "" || issuer.Scheme != "https" && issuer.Scheme != "http" {
		return siteView{}, fmt.Errorf("%w: issuer %q is not an http or https origin", errSite, s.Issuer)
	}
	view := siteView{
		Issuer: s.Issuer, Host: asciiHost(issuer.Host), Operator: strings.TrimSuffix(clean(s.Operator), "."), Contact: clean(s.Contact),
		CookieName: "trinity-flow-", VisitCookie: "trinity-visit", PrivacyURL: s.Issuer + "/privacy", ConnectionsURL: s.Issuer + "/connections",
		https: issuer.Scheme == "https",
	}
	if view.https {
		view.CookieName, view.VisitCookie = "__Host-"+view.CookieName, "__Host-"+view.VisitCookie
	}
	view.ContactURL = contactURL(view.Contact)
	return view, nil
}

// contactURL makes a contact a link where it is plainly an address of one kind or the other.
func contactURL(contact string) string {
	if strings.ContainsAny(contact, " \t") {
		return ""
	}
	if u, err := url.Parse(contact); err == nil && u.Scheme == "https" && u.Host != "" {
		return contact
	}
	if before, after, found := strings.Cut(contact, "@"); found && before != "" && strings.Contains(after, ".") {
		return "mailto:" + contact
	}
	return ""
}

// who names the asking app in one or two words: what somebody other than the app vouches for,
// never what it says of itself (CO-13, CO-20).
func who(words messages, c Client) (string, error) {
	switch name := CleanName(c.Name); {
	case c.Loopback:
		return words.text("client.local")
	case c.Verified && name != "":
		return name, nil
	case c.RedirectHost != "":
		return asciiHost(c.RedirectHost), nil
	}
	return words.text("client.unknown")
}

func days(words messages, n int) (string, error) {
	if n == 1 {
		return words.text("days.one")
	}
	return words.text("days.many", "n", strconv.Itoa(n))
}
