package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswerBytes is the most that is read of a backend's answer.
const maxAnswerBytes = 256 << 10

// ErrUnreachable means that no complete answer was had: refused, timed out, cut off or too large.
var ErrUnreachable = errors.New("no complete answer")

// Client talks to one configured host.
type Client struct {
	base *url.URL
	http *http.Client
}

// Answer is a complete answer. Redirects are answers like any other.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON reports whether the answer says that it is JSON.
func (a *Answer) JSON() bool {
	kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// Fixed makes a client for the host of base; timeout covers a whole exchange, body included.
func Fixed(base *url.URL, timeout time.Duration) *Client {
	return &Client{base: base, http: &http.Client{
		Transport:     Transport(),
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Transport is tuned for many requests to one host: it keeps connections, asks for no
// compression and knows no proxy.
func Transport() *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            newDialer().DialContext,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    512,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

func newDialer() *net.Dialer {
	return &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
}

// Do sends body to path, which may carry a query, below the base URL and reads the whole answer.
// An error wraps ErrUnreachable or is the context's.
func (c *Client) Do(ctx context.Context, method, path string, header http.Header, body []byte) (*Answer, error) {
	return c.DoLong(ctx, method, path, header, body, maxAnswerBytes)
}

// DoLong is Do for an answer of at most so many bytes.
func (c *Client) DoLong(ctx context.Context, method, path string, header http.Header, body []byte, most int64) (*Answer, error) {
	return c.do(ctx, method, path, header, body, func(res *http.Response) ([]byte, error) {
		read, err := io.ReadAll(io.LimitReader(res.Body, most+1))
		if err == nil && int64(len(read)) > most {
			err = fmt.Errorf("more than %d bytes from %s", most, c.base.Host)
		}
		return read, err
	})
}

// Download is Do for a GET whose answer, when its status is 200, is of any length and goes to to. Then the
// answer has no body.
func (c *Client) Download(ctx context.Context, path string, header http.Header, to io.Writer) (*Answer, error) {
	return c.do(ctx, http.MethodGet, path, header, nil, func(res *http.Response) ([]byte, error) {
		if res.StatusCode != http.StatusOK {
			return io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes))
		}
		_, err := io.Copy(to, res.Body)
		return nil, err
	})
}

func (c *Client) do(
	ctx context.Context, method, path string, header http.Header, body []byte, read func(*http.Response) ([]byte, error),
) (*Answer, error) {
	path, query, _ := strings.Cut(path, "?")
	target := c.base.JoinPath(path)
	target.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a request to %s: %w", target.Host, err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	answer := &Answer{Status: res.StatusCode, Header: res.Header}
	if answer.Body, err = read(res); err != nil {
		return nil, unreachable(ctx, err)
	}
	return answer, nil
}

// unreachable drops the URL from the transport's error: a path may name a person.
func unreachable(ctx context.Context, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}
