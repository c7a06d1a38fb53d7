package token_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
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

func newKey(t *testing.T) token.Key {
	t.Helper()
	key, _, err := secrettest.Ring().NewRowKey("")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// What a store is told of the tokens of a family is the same but for the last part.
func TestRefresh_Told(t *testing.T) {
	t.Parallel()
	first := newRefresh(t)
	a, b := first.Told(), first.Next(newKey(t)).Told()
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

// A token has one successor, which nothing but the whole token and the key leads to.
func TestRefresh_Next(t *testing.T) {
	t.Parallel()
	key, first := newKey(t), newRefresh(t)
	next := first.Next(key)
	if again := token.ParseRefresh(first.Token()).Next(key); again != next || token.ParseRefresh(next.Token()) != next {
		t.Error("TK-15: a token that is presented again leads elsewhere")
	}
	raw := must(base64.RawURLEncoding.DecodeString(first.Token().Reveal()[4:]))
	for at := range raw { // the grant's id, what the family shares, what is the token's own
		changed := bytes.Clone(raw)
		changed[at] ^= 1
		other := token.ParseRefresh(secret.New("tbr_" + base64.RawURLEncoding.EncodeToString(changed))).Next(key)
		if own(other) == own(next) {
			t.Errorf("OP-10: a token that differs in byte %d leads to the same successor", at)
		}
	}
	if own(first.Next(newKey(t))) == own(next) {
		t.Error("OP-10: another store's key leads to the same successor")
	}
	seen := map[string]bool{own(first): true}
	for at, r := 0, first; at < 100; at++ {
		if r = r.Next(key); seen[own(r)] {
			t.Fatalf("successor %d came before", at)
		}
		seen[own(r)] = true
	}
}

// own is the part of a token that its family does not share.
func own(r token.Refresh) string {
	raw := must(base64.RawURLEncoding.DecodeString(r.Token().Reveal()[4:]))
	return string(raw[len(raw)-32:])
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
