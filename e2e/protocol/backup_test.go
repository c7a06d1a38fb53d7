package protocol_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// OP-18, OP-14: a backup is taken while people work, and restored where nothing is. What was revoked,
// rotated, spent or begun since is over, keys of Trinity included, and so is all the rest; people connect
// anew. The backup shows nothing and opens with the secret alone.
func TestLifecycle_OP18_backupAndRestore(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.Secret = firstSecret }))
	client := b.Register(t)
	revoked, rotated, kept := b.Connect(t, client, b.Someone()), b.Connect(t, client, b.Someone()), b.Connect(t, client, alice)
	unspent := b.RedeemForm(client, b.Code(t, client, b.Someone()))
	undecided := b.NewBrowser(t)
	b.SignIn(t, undecided, b.Query(client), b.Someone())

	backup := filepath.Join(t.TempDir(), "backup")
	online := app.RunningUpkeep(t.Context(), b.Data)
	if online == nil {
		t.Fatal("no bridge is running")
	}
	if _, err := app.WriteBackup(t.Context(), online, backup); err != nil {
		t.Fatal(err)
	}
	if report, err := online.Verify(t.Context(), b.Clock.Now()); err != nil || report.Faults > 0 {
		t.Errorf("the store under load: %+v, %v", report, err)
	}
	wantSealed(t, b, backup, revoked, rotated, kept)

	b.Token(t, unspent)
	head := b.Token(t, b.RefreshForm(client, rotated.Refresh))
	wantRevoked(t, b.PostForm(t, "/oauth/revoke", map[string][]string{"client_id": {client.ID}, "token": {revoked.Refresh}}))
	newcomer := b.Someone()
	later := b.Connect(t, client, newcomer)
	b.Stop(t)

	b.Config = elsewhere(t, b)
	cfg := loaded(t, b.Config)
	read, err := app.ReadBackup(t.Context(), cfg, backup, discard)
	if err != nil || read.Deployment.Issuer != b.URL || read.Total() == 0 {
		t.Fatalf("%+v, %v", read, err)
	}
	if ended, err := read.Restore(t.Context()); err != nil || ended != 4 {
		t.Fatalf("%d ended, %v", ended, err)
	}
	if _, err := read.Restore(t.Context()); err == nil {
		t.Error("a backup was restored over a store")
	}
	b.Clock.Advance(time.Minute) // past the machine's, by which it was restored
	b.Restart(t)
	for name, tokens := range map[string]bridgetest.Tokens{"revoked": revoked, "rotated": rotated, "its head": head, "kept": kept, "later": later} {
		if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
			t.Errorf("%s, access token: %d", name, got)
		}
		wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
	}
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", unspent))
	undecided.Submit(t, "/consent", func(form url.Values) { form.Set("decision", "approve") })
	if undecided.Left != "" || undecided.Page.Status == http.StatusOK {
		t.Errorf("a sign-in of before goes on: %d, to %q", undecided.Page.Status, undecided.Left)
	}
	if got := b.Works(t, b.Connect(t, client, alice).Access); got != http.StatusOK {
		t.Errorf("a new connection: %d", got)
	}
	wait(t, func() bool { return b.Trinity.LiveJWTs() == 0 }, "the sign-in's session at Trinity is logged out")
	b.Clock.Advance(20 * time.Minute)
	b.Connect(t, client, newcomer) // whose key from before no store knows of
	wait(t, func() bool { return liveKeys(b) == 2 }, "only the keys of the two new connections are left at Trinity")
}

// OP-18: a backup that is not what was written, or meant for another secret, is refused before anything is
// touched.
func TestLifecycle_OP18_badBackups(t *testing.T) {
	bridgetest.OneProcess(t, "a backup is the same from either engine")
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.Secret = firstSecret }))
	b.Connect(t, b.Register(t), alice)
	b.Stop(t)
	folder := t.TempDir()
	good := filepath.Join(folder, "good")
	offline, shut, err := app.OpenUpkeep(t.Context(), loaded(t, b.Config), discard)
	if err != nil {
		t.Fatal(err)
	}
	_, err = app.WriteBackup(t.Context(), offline, good)
	if err = errors.Join(err, shut()); err != nil {
		t.Fatal(err)
	}
	if _, err := app.WriteBackup(t.Context(), offline, good); err == nil {
		t.Error("a backup replaced another")
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	flags := elsewhere(t, b)
	check := func(name string, flags config.Flags, content []byte) {
		t.Helper()
		path := filepath.Join(folder, "bad")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := app.ReadBackup(t.Context(), loaded(t, flags), path, discard); !errors.Is(err, secret.ErrOpen) {
			t.Errorf("%s: %v", name, err)
		}
		if entries, err := os.ReadDir(flags.Data); err != nil || len(entries) > 0 {
			t.Errorf("%s left %v, %v", name, entries, err)
		}
	}
	for _, at := range []int{0, 9, 20, 60, len(whole) / 2, len(whole) - 1} {
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1
		check("a flipped bit", flags, flipped)
		check("a cut", flags, whole[:at])
	}
	check("more at its end", flags, append(bytes.Clone(whole), 'x'))
	other := flags
	other.Secret = nextSecret
	check("another secret", other, whole)

	other.SecretPrevious = firstSecret // exchanged since: the store comes out under the new one
	read, err := app.ReadBackup(t.Context(), loaded(t, other), good, discard)
	if err == nil {
		_, err = read.Restore(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	other.SecretPrevious = ""
	restored, shut, err := app.OpenUpkeep(t.Context(), loaded(t, other), discard)
	if err != nil {
		t.Fatal(err)
	}
	if report, err := restored.Verify(t.Context(), b.Clock.Now()); err != nil || report.Faults > 0 {
		t.Errorf("restored under the new secret: %+v, %v", report, err)
	}
	if err := shut(); err != nil {
		t.Error(err)
	}
}

var discard = slog.New(slog.DiscardHandler)

func loaded(t *testing.T, flags config.Flags) *config.Config {
	t.Helper()
	cfg, err := config.Load(flags, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// elsewhere are the settings of a bridge whose store is a new one.
func elsewhere(t *testing.T, b *bridgetest.Bridge) config.Flags {
	t.Helper()
	flags := b.Config
	flags.Data = t.TempDir()
	b.Data = flags.Data
	if flags.Store != "" {
		flags.Store = bridgetest.NewDatabase(t)
	}
	return flags
}

// wantSealed wants nothing of the connections to be seen in a file.
func wantSealed(t *testing.T, b *bridgetest.Bridge, path string, all ...bridgetest.Tokens) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode of the backup: %v, %v", info, err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{"@example.com", "trinity_mcp_", "Example App", b.URL, firstSecret}
	for _, tokens := range all {
		shown = append(shown, tokens.Access, tokens.Refresh, strings.TrimPrefix(tokens.Refresh, "tbr_"))
	}
	for _, text := range shown {
		if bytes.Contains(content, []byte(text)) {
			t.Errorf("OP-10: the backup shows %q", text)
		}
	}
}
