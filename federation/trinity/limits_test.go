package trinity

import (
	"context"
	"errors"
	"net/http"
	"testing"
)

func TestNetwork_OT05(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.77:1234":            "192.0.2.0/24",
		"[::ffff:192.0.2.77]:1234":   "192.0.2.0/24",
		"[2001:db8:1:2:3::4]:1234":   "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1234":        "fe80::/64",
		"192.0.2.77":                 "192.0.2.0/24",
		"":                           "unknown",
		"@":                          "unknown",
		"192.0.2.77, 203.0.113.9:80": "unknown",
	} {
		if got := network(clientAddr(&http.Request{RemoteAddr: remote})); got != want {
			t.Errorf("%q is in %q, want %q", remote, got, want)
		}
	}
}

func TestLimits_begin_isBounded(t *testing.T) {
	t.Parallel()
	l := &limits{checks: make(chan struct{}, checksAtOnce)}
	for range checksAtOnce {
		if _, err := l.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.begin(gone); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
