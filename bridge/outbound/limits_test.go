package outbound_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest/strangers"
)

// CM-21, CM-22: bodies that are too long, lie about their length, or have to be unpacked.
func TestGuard_bodies(t *testing.T) {
	t.Parallel()
	write := func(body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Add(header[i], header[i+1])
			}
			_, _ = w.Write([]byte(body))
		}
	}
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	_, _ = packer.Write(make([]byte, 1<<20))
	_ = packer.Close()
	tests := []struct {
		id     string
		handle http.HandlerFunc
		ok     bool
	}{
		{"CM-21/5,120 bytes", write(strings.Repeat("x", small)), true},
		{"CM-21/5,121 bytes", write(strings.Repeat("x", small+1)), false},
		{"CM-21/a length that is too long", write("x", "Content-Length", "1000000"), false},
		{"CM-21/longer than it says", raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" + strings.Repeat("x", small)), true},
		{"CM-21/shorter than it says", raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"), false},
		{"CM-21/two lengths", raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), false},
		{"CM-21/chunks without end", endless(strings.Repeat("x", 512)), false},
		{"CM-20/headers without end", raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-More: "+strings.Repeat("x", 1000)+"\r\n", 100)), false},
		{"CM-20/no HTTP", raw("hello\r\n"), false},
		{"CM-22/gzip", write(bomb.String(), "Content-Encoding", "gzip"), false},
		{"CM-22/br", write("{}", "Content-Encoding", "br"), false},
		{"CM-22/several", write("{}", "Content-Encoding", "identity", "Content-Encoding", "gzip"), false},
		{"CM-22/in a list", write("{}", "Content-Encoding", "identity, gzip"), false},
		{"CM-22/identity", write("{}", "Content-Encoding", "identity"), true},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			w := strangers.New(t)
			w.Host(t, "app.example.com").Serve(tt.handle)
			answer, err := get(t, w.Guard(t, nil), "https://app.example.com/c")
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, outbound.ErrUnreachable) {
				t.Errorf("%v", err)
			}
			if answer != nil && len(answer.Body) > small {
				t.Errorf("%d bytes were read", len(answer.Body))
			}
		})
	}
}

// raw answers with bytes and closes.
func raw(bytes string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte(bytes))
		_ = conn.Close()
	}
}

func endless(piece string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(piece)); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// CM-20, AS-107: one deadline covers all of it, the body included.
func TestGuard_CM20_deadline(t *testing.T) {
	t.Parallel()
	drip := func(head, piece string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = conn.Write([]byte(head))
			for {
				if _, err := conn.Write([]byte(piece)); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
	for id, handle := range map[string]http.HandlerFunc{
		"a body that drips":   drip("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", "x"),
		"headers that drip":   drip("HTTP/1.1 200 OK\r\nX: ", "x"),
		"hints before an end": drip("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
		"silence":             func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			w := strangers.New(t)
			w.Host(t, "app.example.com").Serve(handle)
			g := w.Guard(t, func(o *outbound.GuardOptions) { o.Timeout = 300 * time.Millisecond })
			if answer, err := get(t, g, "https://app.example.com/c"); !errors.Is(err, outbound.ErrUnreachable) {
				t.Errorf("%v, %v", answer, err)
			}
		})
	}
	t.Run("a handshake that stalls", func(t *testing.T) {
		t.Parallel()
		w := strangers.New(t)
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		w.Place("app.example.com", listener.Addr().String())
		g := w.Guard(t, func(o *outbound.GuardOptions) { o.Timeout = 300 * time.Millisecond })
		if _, err := get(t, g, "https://app.example.com/c"); !errors.Is(err, outbound.ErrUnreachable) {
			t.Errorf("%v", err)
		}
	})
}

// CM-23: a certificate that does not hold is the end; nothing is tried without it.
func TestGuard_CM23_TLS(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*testing.T, *strangers.World) *tls.Config{
		"expired": func(t *testing.T, w *strangers.World) *tls.Config {
			return w.Authority.ConfigUntil(t, "app.example.com", time.Now().Add(-time.Minute))
		},
		"not yet valid": func(t *testing.T, w *strangers.World) *tls.Config {
			return w.Authority.ConfigUntil(t, "app.example.com", time.Now().Add(3*time.Hour))
		},
		"unknown authority": func(t *testing.T, _ *strangers.World) *tls.Config {
			return strangers.NewAuthority(t).Config(t, "app.example.com")
		},
		"another name": func(t *testing.T, w *strangers.World) *tls.Config { return w.Authority.Config(t, "other.example.com") },
		"TLS 1.0 and 1.1": func(t *testing.T, w *strangers.World) *tls.Config {
			config := w.Authority.Config(t, "app.example.com")
			config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			return config
		},
		"no certificate for the name asked": func(t *testing.T, w *strangers.World) *tls.Config {
			config := w.Authority.Config(t, "app.example.com")
			config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				return nil, fmt.Errorf("no such name: %s", hello.ServerName)
			}
			return config
		},
	}
	for id, config := range tests {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			w := strangers.New(t)
			var served atomic.Int64
			listener, err := tls.Listen("tcp", "127.0.0.1:0", config(t, w))
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{
				ReadHeaderTimeout: time.Second,
				Handler:           http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }),
			}
			go func() { _ = server.Serve(listener) }()
			t.Cleanup(func() { _ = server.Close() })
			w.Place("app.example.com", listener.Addr().String())
			if _, err := get(t, w.Guard(t, nil), "https://app.example.com/c"); !errors.Is(err, outbound.ErrUnreachable) {
				t.Errorf("%v", err)
			}
			if served.Load() > 0 || len(w.Dials()) != 1 {
				t.Errorf("%d requests on %d connections", served.Load(), len(w.Dials()))
			}
		})
	}
}

// AS-108, CM-24: failures cost, by host, by network and in total, and time makes up for it.
func TestGuard_rates(t *testing.T) {
	t.Parallel()
	var mu atomic.Int64
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { return start.Add(time.Duration(mu.Load())) }
	w := strangers.New(t)
	g := w.Guard(t, func(o *outbound.GuardOptions) { o.Now = now })
	ask := func(host, from string, n int) (allowed int) {
		for i := range n {
			_, err := g.Get(t.Context(), outbound.Fetch{URL: fmt.Sprintf("https://%s/%d", host, i), MaxBytes: small, From: from})
			if !errors.Is(err, outbound.ErrBusy) {
				allowed++
			}
		}
		return allowed
	}
	if got := ask("a.example.com", "198.51.100.0/24", 100); got != 10 {
		t.Errorf("one network had %d fetches", got)
	}
	if got := ask("a.example.com", "", 100); got != 10 {
		t.Errorf("the host had %d more fetches, want what the first network left", got)
	}
	if got := ask("b.example.com", "", 100); got != 20 {
		t.Errorf("another host had %d fetches", got)
	}
	if got := ask("C.example.com", "", 5) + ask("c.example.com", "", 100); got != 10 {
		t.Errorf("in total %d more fetches, want the ten left", got)
	}
	mu.Add(int64(time.Minute))
	if got := ask("a.example.com", "", 100); got != 20 {
		t.Errorf("a minute later the host had %d fetches", got)
	}
}
