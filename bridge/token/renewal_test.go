package token_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

func newRefresh(t *testing.T) token.Refresh {
	t.Helper()
	return must(token.NewRefresh(rand.Reader)).Of(bridge.GrantID(time.Now(), must(bridge.NewID(rand.Reader))))
}

func TestParseRefresh(t *testing.T) {
	t.Parallel()
	first := newRefresh(t)
	text := first.Token().Reveal()
	if len(text) != 82 || !strings.HasPrefix(text, "tbr_") || strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		t.Errorf("a refresh token of %d characters: %q", len(text), text)
	}
	if got := token.ParseRefresh(first.Token()); got != first || got.Told() != first.Told() {
		t.Error("a token is not read back as it was made")
	}
	older := must(token.NewRefresh(rand.Reader)).Of(must(bridge.NewID(rand.Reader))) // of a grant of before
	if text := older.Token(); len(text.Reveal()) != 90 || token.ParseRefresh(text) != older {
		t.Errorf("a token of a longer id is not read back: %q", text.Reveal())
	}
	for name, other := range map[string]string{
		"nothing":           "",
		"of before that":    "tbr_" + text[4:47],
		"without a prefix":  text[4:],
		"another prefix":    "tba_" + text[4:],
		"cut":               text[:81],
		"long":              text + "A",
		"a line end":        text[:40] + "\n" + text[40:],
		"a line end for it": text[:40] + "\n" + text[41:],
		"padded":            text + "=",
		"not base64url":     text[:40] + "+" + text[41:],
		"bits left over":    text[:81] + "B",
	} {
		if got := token.ParseRefresh(secret.New(other)); got != (token.Refresh{}) || got.Told() != (bridge.RefreshToken{}) {
			t.Errorf("%s: %q is taken for a refresh token", name, other)
		}
	}
}

// What a store is told of the tokens of a family is the same but for the last part.
func TestRefresh_Next(t *testing.T) {
	t.Parallel()
	first := newRefresh(t)
	next := must(first.Next(rand.Reader))
	a, b := first.Told(), next.Told()
	if a.GrantID != b.GrantID || a.Shared != b.Shared || a.Hash == b.Hash || a.Shared.IsZero() || a.Hash.IsZero() || b.Hash.IsZero() {
		t.Errorf("a token is %v, its successor %v", a, b)
	}
	if c := newRefresh(t).Told(); c.GrantID == a.GrantID || c.Shared == a.Shared || c.Hash == a.Hash {
		t.Errorf("two families begin with %v and %v", a, c)
	}
	if !must(token.NewRefresh(rand.Reader)).Token().IsZero() {
		t.Error("a token of no grant is given out")
	}
}

func TestRefresh_Seal(t *testing.T) {
	t.Parallel()
	first := newRefresh(t)
	next := must(first.Next(rand.Reader))
	sealed := first.Seal(next)
	if got := must(first.Open(sealed)); got != next {
		t.Error("the predecessor does not open its successor")
	}
	for name, other := range map[string]token.Refresh{"itself": next, "a sibling": must(first.Next(rand.Reader)), "nothing": {}} {
		if _, err := other.Open(sealed); !errors.Is(err, secret.ErrOpen) {
			t.Errorf("OP-10: %s opens a successor: %v", name, err)
		}
	}
	for name, damaged := range map[string][]byte{"empty": nil, "cut": sealed[:len(sealed)-1]} {
		if _, err := first.Open(damaged); !errors.Is(err, secret.ErrOpen) {
			t.Errorf("%s: %v", name, err)
		}
	}
	short := secret.SealUnder(secret.New("x"), secret.New("y"))
	if _, err := first.Open(short); !errors.Is(err, secret.ErrOpen) {
		t.Errorf("what is no token: %v", err)
	}
}

func TestRefresh_isRedacted(t *testing.T) {
	t.Parallel()
	refresh := newRefresh(t)
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "token", refresh)
	for _, shown := range []string{
		fmt.Sprint(refresh), fmt.Sprintf("%v %+v %#v %s %x", refresh, refresh, refresh, refresh, refresh), string(must(json.Marshal(refresh))), logged.String(),
	} {
		if rest := strings.ReplaceAll(shown, "[redacted]", ""); !strings.Contains(shown, "[redacted]") || strings.ContainsAny(rest, "{_") {
			t.Errorf("a refresh token shows as %q", shown)
		}
	}
}
