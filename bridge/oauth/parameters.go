package oauth

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	maxQueryBytes  = 8 << 10
	maxBodyBytes   = 32 << 10
	maxParameters  = 64
	maxStateBytes  = 4 << 10
	formMediaType  = "application/x-www-form-urlencoded"
	invalidRequest = "invalid_request"
)

// parameters are the decoded parameters of a request. A parameter with an empty value counts as
// absent (RFC 6749 §3.1).
type parameters url.Values

// parseParameters decodes a query or a form body; the order of the checks keeps a huge request
// from being parsed into maps (AZ-42).
func parseParameters(raw string, maxBytes int) (parameters, error) {
	if len(raw) > maxBytes || strings.Count(raw, "&") >= maxParameters {
		return nil, bridge.Refuse(invalidRequest, "There are too many parameters")
	}
	values, err := url.ParseQuery(raw) // refuses semicolons and broken escapes
	if err != nil {
		return nil, bridge.Refuse(invalidRequest, "The parameters cannot be read")
	}
	for name, list := range values {
		kept := list[:0]
		for _, value := range list {
			if !utf8.ValidString(value) {
				return nil, bridge.Refuse(invalidRequest, "A parameter is not UTF-8")
			}
			if value != "" {
				kept = append(kept, value)
			}
		}
		if len(kept) == 0 {
			delete(values, name)
			continue
		}
		values[name] = kept
	}
	return parameters(values), nil
}

// get returns the value of a parameter that may stand once.
func (p parameters) get(name string) string {
	if list := p[name]; len(list) > 0 {
		return list[0]
	}
	return ""
}

// duplicate reports whether a parameter stands more than once. Only resource may (RFC 8707 §2).
func (p parameters) duplicate() bool {
	for name, list := range p {
		if len(list) > 1 && name != "resource" {
			return true
		}
	}
	return false
}

// readForm reads a form body of one of the direct endpoints. Parameters in the URL are refused:
// they would be in somebody's log (AS-058).
func readForm(w http.ResponseWriter, r *http.Request) (parameters, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != formMediaType {
		return nil, &bridge.Error{
			Code: invalidRequest, Description: "The body has to be " + formMediaType,
			Status: http.StatusUnsupportedMediaType,
		}
	}
	if r.URL.RawQuery != "" {
		return nil, bridge.Refuse(invalidRequest, "Parameters belong into the body")
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	form, err := parseParameters(string(body), maxBodyBytes)
	if err != nil {
		return nil, err
	}
	if form.duplicate() {
		return nil, bridge.Refuse(invalidRequest, "A parameter stands more than once")
	}
	return form, nil
}

// namedResource returns the resource that the parameters name: none when there are none,
// invalid_target when they are not all one and the same of those served (RFC 8707 §2, AS-037…AS-041).
func namedResource(asked []string, served bridge.Resources) (named bridge.Resource, err error) {
	for _, value := range asked {
		at := slices.IndexFunc(served, func(r bridge.Resource) bool { return sameResource(value, r.URL) })
		switch {
		case at < 0:
			return bridge.Resource{}, bridge.Refuse("invalid_target", "The resource is not one of this server")
		case named.URL != "" && named.URL != served[at].URL:
			return bridge.Resource{}, bridge.Refuse("invalid_target", "A token is for one resource only")
		}
		named = served[at]
	}
	return named, nil
}

// sameResource compares as RFC 3986 §6.2.2 allows without touching the path: scheme and host in
// any case, the default port given or not (AS-039). Everything else is compared as bytes.
func sameResource(asked, resource string) bool {
	if asked == resource {
		return true
	}
	u, err := url.Parse(asked)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" || strings.Contains(asked, "#") || strings.ContainsAny(asked, "?\\") {
		return false
	}
	own, err := url.Parse(resource)
	if err != nil {
		return false
	}
	return strings.EqualFold(u.Scheme, own.Scheme) && authority(u) == authority(own) && u.EscapedPath() == own.EscapedPath()
}

func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}
