package protocol_test

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// OP-14: yesterday's data put back, whole or the store alone, is not served from. When the operator
// accepts it, no token of then opens anything.
func TestServe_OP14_rollback(t *testing.T) {
	bridgetest.OneProcess(t, "a watermark is the data folder's")
	t.Parallel()
	for name, folder := range map[string]string{"the store": "store", "the whole data folder": "."} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			watermark := filepath.Join(t.TempDir(), "watermark")
			b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.Watermark = watermark }))
			client := b.Register(t)
			revoked, rotated := b.Connect(t, client, b.Someone()), b.Connect(t, client, b.Someone())
			unspent := b.RedeemForm(client, b.Code(t, client, b.Someone()))
			b.Stop(t)
			live := filepath.Join(b.Data, folder)
			yesterday := filepath.Join(t.TempDir(), "yesterday")
			if err := os.CopyFS(yesterday, os.DirFS(live)); err != nil {
				t.Fatal(err)
			}
			b.Restart(t)
			b.Token(t, unspent)
			b.Token(t, b.RefreshForm(client, rotated.Refresh))
			revoke := b.RefreshForm(client, revoked.Refresh)
			revoke.Set("token", revoked.Refresh)
			wantRevoked(t, b.PostForm(t, "/oauth/revoke", revoke))
			b.Stop(t)

			if err := errors.Join(os.RemoveAll(live), os.CopyFS(live, os.DirFS(yesterday))); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"secret", "operator.json"} { // CopyFS leaves no modes
				_ = os.Chmod(filepath.Join(b.Data, file), 0o600)
			}
			cfg, err := config.Load(b.Config, func(string) (string, bool) { return "", false })
			if err != nil {
				t.Fatal(err)
			}
			if _, err := app.New(t.Context(), cfg, app.Options{}); !errors.Is(err, badger.ErrLost) {
				t.Fatalf("starting came to %v", err)
			}
			if ended, err := app.AcceptLoss(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil || ended != 3 {
				t.Fatalf("%d ended, %v", ended, err)
			}
			b.Restart(t)
			for _, tokens := range []bridgetest.Tokens{revoked, rotated} {
				if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
					t.Errorf("an old access token: %d", got)
				}
				wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
			}
			wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", unspent))
			if got := b.Works(t, b.Connect(t, client, b.Someone()).Access); got != http.StatusOK {
				t.Errorf("a new connection: %d", got)
			}
		})
	}
}
