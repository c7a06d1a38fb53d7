package trinity

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// The limits of the e-mail code path. Trinity counts wrong codes of the whole bridge in one bucket
// of 30 per 5 minutes where it does not believe X-Forwarded-For (contract 1.4), so what leaves
// here must stay well below, whoever tries.
const (
	maxTries = 5 // wrong codes per code sent, and wrong answers per second-factor challenge

	codesPerMailbox    = 3
	codesPerMailboxDay = 10
	codesPerNetwork    = 60
	codesInAll         = 150
	codeWindow         = 10 * time.Minute

	failuresPerNetwork = 10
	failuresInAll      = 20
	failureWindow      = 5 * time.Minute

	// Failures are counted when Trinity has answered, for a success does not count. So many checks
	// at once is also how far the count can run over.
	checksAtOnce = 4
)

// limits counts what one deployment asks of Trinity. A store keeps counters under keyed hashes of their
// keys, which outlive the master secret: nobody gets more codes because it was exchanged.
type limits struct {
	counters bridge.CounterStore
	now      func() time.Time
	checks   chan struct{} // holds a token for each check under way
}

// refused is why something was not asked of Trinity; "" means that it may be asked.
type refused string

const (
	overMailbox refused = "mailbox_limit"
	overNetwork refused = "network_limit"
	overAll     refused = "total_limit"
)

// sendCode counts a code that is about to be asked for. The network goes first, so that somebody
// who is over it cannot use up a stranger's mailbox as well.
func (l *limits) sendCode(ctx context.Context, mailbox string, from netip.Addr) (refused, error) {
	box := countedMailbox(mailbox)
	for _, limit := range []struct {
		key    string
		n      int
		window time.Duration
		why    refused
	}{
		{"codes of network " + network(from), codesPerNetwork, codeWindow, overNetwork},
		{"codes of mailbox " + box, codesPerMailbox, codeWindow, overMailbox},
		{"codes per day of mailbox " + box, codesPerMailboxDay, 24 * time.Hour, overMailbox},
		{"codes in all", codesInAll, codeWindow, overAll},
	} {
		count, err := l.counters.Hit(ctx, limit.key, limit.n, limit.window, l.now())
		if err != nil {
			return "", fmt.Errorf("counting codes: %w", err)
		}
		if !count.Allowed {
			return limit.why, nil
		}
	}
	return "", nil
}

// tooManyError: Trinity has said no too often to be asked again now.
type tooManyError struct{ wait time.Duration }

func (e *tooManyError) Error() string { return "too many failed checks" }

// mayCheck returns a *tooManyError when no code may be checked now, because of this network or of
// all of them together.
func (l *limits) mayCheck(ctx context.Context, from netip.Addr) error {
	var wait time.Duration
	for key, limit := range failureLimits(from) {
		count, err := l.counters.Peek(ctx, key, limit, l.now())
		if err != nil {
			return fmt.Errorf("looking at failed checks: %w", err)
		}
		if !count.Allowed {
			wait = max(wait, count.ResetAt.Sub(l.now()), time.Second)
		}
	}
	if wait > 0 {
		return &tooManyError{wait: wait}
	}
	return nil
}

// failed counts a check that Trinity said no to.
func (l *limits) failed(ctx context.Context, from netip.Addr) error {
	for key, limit := range failureLimits(from) {
		if _, err := l.counters.Hit(ctx, key, limit, failureWindow, l.now()); err != nil {
			return fmt.Errorf("counting failed checks: %w", err)
		}
	}
	return nil
}

func failureLimits(from netip.Addr) map[string]int {
	return map[string]int{
		"failed checks of network " + network(from): failuresPerNetwork,
		"failed checks in all":                      failuresInAll,
	}
}

// begin waits for a free check and returns the function that gives it back.
func (l *limits) begin(ctx context.Context) (func(), error) {
	select {
	case l.checks <- struct{}{}:
		return func() { <-l.checks }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: too many checks at once: %w", ErrUnavailable, ctx.Err())
	}
}

// network is the /24 or /64 an address belongs to: one household or office, many addresses.
func network(from netip.Addr) string {
	if !from.IsValid() {
		return "unknown" // all who cannot be told apart share one allowance
	}
	bits := 64
	if from.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(from, bits).Masked().String()
}

// clientAddr is the address of the person's browser as the listener determined it.
func clientAddr(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
