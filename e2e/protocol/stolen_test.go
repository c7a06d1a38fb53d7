package protocol_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// OP-10, OP-11: whoever has the store and not the secret has nothing to use: no credential of anybody, no
// address, and no bare hash of what can be found by trying, as an e-mail code or an address can.
func TestKeys_OP11_stolenStore(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.Secret = firstSecret }))
	client := b.RegisterAs(t, map[string]any{
		"client_name": "Canary Client", "redirect_uris": []string{bridgetest.Redirect}, "token_endpoint_auth_method": "client_secret_post",
		"grant_types": []string{"authorization_code", "refresh_token"},
	})
	code := b.Code(t, client, alice)
	form := b.RedeemForm(client, code)
	form.Set("client_secret", client.Secret)
	tokens := b.Token(t, form)
	refresh := b.RefreshForm(client, tokens.Refresh)
	refresh.Set("client_secret", client.Secret)
	next := b.Token(t, refresh)
	session := b.Session(t, next.Access)
	undecided, someone := b.NewBrowser(t), b.Someone()
	b.SignIn(t, undecided, b.Query(client), someone)
	pushed := b.Query(client)
	pushed.Set("client_secret", client.Secret)
	pushed.Set("state", "canary-of-a-pushed-state")
	b.PostForm(t, "/oauth/par", pushed)

	canaries := map[string]string{
		"code": code, "client secret": client.Secret, "access token": tokens.Access, "refresh token": tokens.Refresh, "successor": next.Refresh,
		"session id": session, "verifier": bridgetest.Verifier, "state": "state-value", "pushed state": "canary-of-a-pushed-state",
		"e-mail code": b.Trinity.LastCode(someone), "address": someone, "another address": alice, "client's name": "Canary Client",
		"redirect": bridgetest.Redirect, "secret": firstSecret,
	}
	for i, cookie := range undecided.Cookies() {
		canaries[fmt.Sprint("cookie ", i)] = cookie.Value
	}
	for i, request := range b.Trinity.Requests() {
		if bearer, ok := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer "); ok {
			canaries[fmt.Sprint("Trinity's credential ", i)] = bearer
		}
	}
	guessed := []string{"e-mail code", "address", "another address", "state", "redirect", "client's name"}
	b.Stop(t)
	stolen := storeOf(t, b)
	if len(stolen) == 0 {
		t.Fatal("there is nothing to look through")
	}
	for where, content := range stolen {
		for what, value := range canaries {
			if value == "" {
				t.Fatalf("there is no %s to look for", what)
			}
			if bytes.Contains(content, []byte(value)) {
				t.Errorf("%s shows the %s", where, what)
			}
		}
		for _, what := range guessed {
			for _, form := range digests(canaries[what]) {
				if bytes.Contains(content, []byte(form)) {
					t.Errorf("%s shows a bare hash of the %s", where, what)
				}
			}
		}
	}

	for name, secret := range map[string]string{"another secret": nextSecret, "none": ""} {
		flags := b.Config
		flags.Secret = secret
		if bridge, err := app.New(t.Context(), loaded(t, flags), app.Options{}); err == nil {
			t.Errorf("the store opened with %s", name)
			_ = bridge.Close()
		}
	}
}

// digests are the hashes that are found by trying.
func digests(value string) []string {
	var all []string
	for _, text := range []string{value, strings.ToLower(value), url.QueryEscape(value)} {
		sum := sha256.Sum256([]byte(text))
		all = append(all, string(sum[:]), string(sum[:16]), hex.EncodeToString(sum[:]), base64.RawURLEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(sum[:]))
	}
	return all
}

// storeOf is every byte of a stopped bridge's store, as its thief has it.
func storeOf(t *testing.T, b *bridgetest.Bridge) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	if b.Config.Store == "" {
		err := filepath.WalkDir(b.Data, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			all[filepath.Base(path)], err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	conn, err := pgx.Connect(t.Context(), b.Config.Store)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	found, err := conn.Query(t.Context(), "select tablename::text from pg_tables where schemaname = current_schema()")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		found, err := conn.Query(t.Context(), "select * from "+pgx.Identifier{table}.Sanitize())
		if err != nil {
			t.Fatal(err)
		}
		for found.Next() {
			values, err := found.Values()
			if err != nil {
				t.Fatal(err)
			}
			for _, value := range values {
				if raw, ok := value.([]byte); ok {
					all[table] = append(all[table], raw...)
				} else {
					all[table] = fmt.Append(all[table], value)
				}
			}
		}
		if err := found.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}
