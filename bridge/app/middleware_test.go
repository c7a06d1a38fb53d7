package app

import (
	"bytes"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/telemetry"
)

func TestClientAddress_OT04(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	tests := []struct {
		id, peer  string
		forwarded []string
		want      string
	}{
		{"no proxy", "203.0.113.7:1", nil, "203.0.113.7:1"},
		{"a stranger's header", "203.0.113.7:1", []string{"198.51.100.1"}, "203.0.113.7:1"},
		{"a proxy's header", "10.1.2.3:1", []string{"198.51.100.1"}, "198.51.100.1:1"},
		{"a spoofed first hop", "10.1.2.3:1", []string{"192.0.2.66, 198.51.100.1"}, "198.51.100.1:1"},
		{"two proxies", "10.1.2.3:1", []string{"192.0.2.66, 198.51.100.1, 10.9.9.9"}, "198.51.100.1:1"},
		{"two header lines", "10.1.2.3:1", []string{"192.0.2.66", "198.51.100.1"}, "198.51.100.1:1"},
		{"nonsense at the end", "10.1.2.3:1", []string{"198.51.100.1, unknown"}, "10.1.2.3:1"},
		{"nothing forwarded", "10.1.2.3:1", nil, "10.1.2.3:1"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::7"}, "[2001:db8::7]:1"},
		{"mapped proxy", "[::ffff:10.0.0.1]:1", []string{"198.51.100.1"}, "198.51.100.1:1"},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.peer
			for _, name := range []string{"X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP"} {
				r.Header.Set(name, "192.0.2.99") // none of them is read
			}
			r.Header["X-Forwarded-For"] = tt.forwarded
			if got := clientAddress(r, proxies); got != tt.want {
				t.Errorf("clientAddress = %s, want %s", got, tt.want)
			}
		})
	}
}

// shelled serves handler behind the shell of a bridge at https://connect.example.com.
func shelled(t *testing.T, handler http.HandlerFunc) (http.Handler, *bytes.Buffer) {
	t.Helper()
	public, err := url.Parse("https://connect.example.com")
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{PublicURL: public}
	logs := &bytes.Buffer{}
	b := &Bridge{config: cfg, log: slog.New(slog.NewJSONHandler(logs, nil)), now: time.Now, rand: rand.Reader, hosts: hosts(cfg), metrics: telemetry.New(func() bool { return true })}
	return b.shell(handler), logs
}

// OP-32: a panic becomes an answer without detail, and one line in the log.
func TestShell_OP32_panic(t *testing.T) {
	t.Parallel()
	handler, logs := shelled(t, func(http.ResponseWriter, *http.Request) { panic("a detail") })
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "https://connect.example.com/x", nil))
	if recorder.Code != http.StatusInternalServerError || strings.Contains(recorder.Body.String(), "detail") {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
	if reference := recorder.Header().Get("X-Request-ID"); reference == "" || !strings.Contains(logs.String(), reference) {
		t.Errorf("the log does not tell of %q: %s", reference, logs)
	}
}

func TestShell_hosts(t *testing.T) {
	t.Parallel()
	handler, _ := shelled(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for host, want := range map[string]int{
		"connect.example.com": 204, "connect.example.com:443": 204, "CONNECT.example.com": 204,
		"connect.example.com:80": 421, "evil.example": 421, "connect.example.com.evil.example": 421, "localhost": 421, "": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, "https://connect.example.com/", nil)
		r.Host = host
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		if recorder.Code != want {
			t.Errorf("GW-03, RS-44: Host %q: %d, want %d", host, recorder.Code, want)
		}
		if recorder.Header().Get("Strict-Transport-Security") == "" {
			t.Errorf("GW-65: no HSTS for Host %q", host)
		}
	}
}

// GW-34, RS-46: net/http cuts no answer and no body by the clock; whoever reads or writes for long has a deadline of its own. Header
// fields come at once.
func TestServer_GW34_noWholeRequestTimeouts(t *testing.T) {
	t.Parallel()
	b := &Bridge{log: slog.New(slog.DiscardHandler)}
	s := b.server(t.Context(), http.NotFoundHandler())
	if s.WriteTimeout != 0 || s.ReadTimeout != 0 || s.ReadHeaderTimeout <= 0 || s.ReadHeaderTimeout > 5*time.Second || s.IdleTimeout < time.Minute {
		t.Errorf("write %v, read %v, header %v, idle %v", s.WriteTimeout, s.ReadTimeout, s.ReadHeaderTimeout, s.IdleTimeout)
	}
}
