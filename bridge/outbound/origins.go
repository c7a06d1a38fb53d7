package outbound

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ForOrigins makes a client for libraries that bring their own protocol: it speaks to the given
// origins (scheme://host[:port]) only, follows no redirect, and hands over complete JSON answers of
// at most maxAnswerBytes or an error that wraps ErrForbidden or ErrUnreachable. timeout covers a
// whole exchange, body included.
func ForOrigins(origins []string, timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     &originTransport{origins: origins, next: Transport()},
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Origin is the scheme and host of a URL as ForOrigins compares them, or "" for what is no web address.
func Origin(u *url.URL) string {
	if u == nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	host := strings.ToLower(u.Host)
	return u.Scheme + "://" + strings.TrimSuffix(host, map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
}

type originTransport struct {
	origins []string
	next    *http.Transport
}

// RoundTrip sends a request and reads the whole answer (FB-28).
func (t *originTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !slices.Contains(t.origins, Origin(req.URL)) {
		return nil, fmt.Errorf("%w: %s is no place to ask", ErrForbidden, req.URL.Host)
	}
	res, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes+1))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if len(body) > maxAnswerBytes {
		return nil, fmt.Errorf("%w: more than %d bytes from %s", ErrUnreachable, maxAnswerBytes, req.URL.Host)
	}
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, fmt.Errorf("%w: %s answered %d without JSON", ErrUnreachable, req.URL.Host, res.StatusCode)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}
