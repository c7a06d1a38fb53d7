package protocol_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
)

// OP-05 with a database: while the bridge may not write in it, and while it is away, whatever has to be written is answered
// with 503 and nothing is lost. /readyz says so in words that show nothing, and all passes by itself.
func TestUnwritable_OP05_database(t *testing.T) {
	t.Parallel()
	bridgetest.OneProcess(t, "the program is pointed at a database of its own")
	server := postgrestest.Own(t)
	owner := server.Database(t)
	run(t, owner, "create role clerk login", "do $$ begin execute 'alter database ' || current_database() || ' owner to clerk'; end $$")
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.Store = strings.Replace(owner, "bridge@", "clerk@", 1) }))
	client := b.Register(t)
	tokens := b.Connect(t, client, b.Someone())
	code := b.RedeemForm(client, b.Code(t, client, b.Someone()))
	wantReady(t, b, "")

	troubles := []struct {
		name        string
		begin, over func()
		says, logs  string
		serves      bool // what is there
	}{
		{
			"the role may not write",
			func() { run(t, owner, "revoke insert, update, delete on all tables in schema public from clerk") },
			func() { run(t, owner, "grant insert, update, delete on all tables in schema public to clerk") },
			"not ready: the store takes no writes, see the log", "the role may not", true,
		},
		{
			"the database is read only",
			func() {
				run(t, owner, "alter system set default_transaction_read_only to on", "select pg_reload_conf()")
			},
			func() {
				run(t, owner, "set default_transaction_read_only to off", "alter system reset default_transaction_read_only", "select pg_reload_conf()")
			},
			"not ready: the store takes no writes, see the log", "the database is read only", true,
		},
		{
			"the role may do nothing",
			func() { run(t, owner, "revoke all on all tables in schema public from clerk") },
			func() { run(t, owner, "grant all on all tables in schema public to clerk") },
			"not ready: the store takes no writes, see the log", "the role may not", false,
		},
		{
			"the role may not connect",
			func() {
				run(t, owner, "alter role clerk nologin", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'clerk'")
			},
			func() { run(t, owner, "alter role clerk login") },
			"not ready: the store does not answer, see the log", "not permitted to log in", false,
		},
	}
	for _, trouble := range troubles {
		t.Run(trouble.name, func(t *testing.T) {
			trouble.begin()
			wait(t, func() bool { return app.Health(t.Context(), b.Data) != nil }, "the program notices")
			wantReady(t, b, trouble.says)
			for _, answer := range []bridgetest.Answer{
				b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)), b.PostForm(t, "/oauth/token", code),
				b.PostForm(t, "/oauth/revoke", url.Values{"token": {tokens.Refresh}, "client_id": {client.ID}}),
			} {
				wire{http.StatusServiceUnavailable, "temporarily_unavailable"}.check(t, answer)
				if answer.Header.Get("Retry-After") == "" || strings.Contains(answer.Body, "SQLSTATE") {
					t.Errorf("answered %v %s", answer.Header, answer.Body)
				}
			}
			if answer := b.PostJSON(t, "/oauth/register", `{"redirect_uris":["https://claude.ai/api/mcp/auth_callback"]}`); answer.Status != http.StatusServiceUnavailable {
				t.Errorf("a registration is answered %d %s", answer.Status, answer.Body)
			}
			if answer := b.Get(t, "/oauth/authorize?"+b.Query(client).Encode()); answer.Status != http.StatusServiceUnavailable {
				t.Errorf("who wants to sign in is answered %d %s", answer.Status, answer.Body)
			}
			if status := b.Works(t, tokens.Access); trouble.serves && status != http.StatusOK || !trouble.serves && status != http.StatusServiceUnavailable {
				t.Errorf("a call is answered %d", status)
			}
			if !strings.Contains(b.Logs(), trouble.logs) {
				t.Errorf("the log does not say %q", trouble.logs)
			}
			trouble.over()
			wait(t, func() bool { return app.Health(t.Context(), b.Data) == nil }, "the program is ready again")
			wantReady(t, b, "")
			wait(t, func() bool { // connections of before may refuse once more
				answer := b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh))
				return answer.Status != http.StatusServiceUnavailable
			}, "a refresh is answered")
			tokens = b.Token(t, b.RefreshForm(client, tokens.Refresh))
			if status := b.Works(t, tokens.Access); status != http.StatusOK {
				t.Errorf("a call is answered %d afterwards", status)
			}
		})
	}
	if redeemed := b.Token(t, code); b.Works(t, redeemed.Access) != http.StatusOK {
		t.Error("a code that was presented while it could not be spent is not what it was")
	}
}

// OP-05 with a data folder: the same when its disk is full. The test runs itself again where it has a small disk of its own
// for temporary files.
func TestUnwritable_OP05_disk(t *testing.T) {
	bridgetest.OneProcess(t, "the store is in the data folder")
	const inside = "TEST_SMALL_DISK"
	if os.Getenv(inside) == "" {
		if err := exec.CommandContext(t.Context(), "unshare", "-rm", "true").Run(); err != nil {
			t.Skip("this machine allows no private mounts:", err)
		}
		again := exec.CommandContext(t.Context(), "unshare", "-rm", "sh", "-c",
			`mount -t tmpfs -o size=200m none "$TMPDIR" && exec "$0" -test.run "^`+t.Name()+`$"`, os.Args[0])
		again.Env = append(os.Environ(), inside+"=yes", "TMPDIR="+t.TempDir())
		if said, err := again.CombinedOutput(); err != nil {
			t.Fatalf("with a small disk: %v\n%s", err, said)
		}
		return
	}
	b := bridgetest.Start(t)
	client := b.Register(t)
	tokens := b.Connect(t, client, b.Someone())
	wait(t, func() bool { return app.Health(t.Context(), b.Data) == nil }, "the program is ready")
	ballast := filepath.Join(b.Data, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 150<<20), 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	wantReady(t, b, "not ready: the store takes no writes, see the log")
	wire{http.StatusServiceUnavailable, "temporarily_unavailable"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
	if status := b.Works(t, tokens.Access); status != http.StatusOK {
		t.Errorf("a call is answered %d", status)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	wantReady(t, b, "")
	if status := b.Works(t, b.Token(t, b.RefreshForm(client, tokens.Refresh)).Access); status != http.StatusOK {
		t.Errorf("a call is answered %d afterwards", status)
	}
}

// wantReady wants what /readyz and the metrics say: ready when says is "".
func wantReady(t *testing.T, b *bridgetest.Bridge, says string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.Data, "operator.json"))
	if err != nil {
		t.Fatal(err)
	}
	var at app.Operator
	if err := json.Unmarshal(text, &at); err != nil {
		t.Fatal(err)
	}
	status, body, gauge := http.StatusOK, "ok\n", "trinity_bridge_ready 1\n"
	if says != "" {
		status, body, gauge = http.StatusServiceUnavailable, says+"\n", "trinity_bridge_ready 0\n"
	}
	if got, text := ask(t, "http://"+at.Address+"/readyz"); got != status || text != body {
		t.Errorf("/readyz is %d %q, want %d %q", got, text, status, body)
	}
	if got, text := ask(t, "http://"+at.Address+"/metrics"); got != http.StatusOK || !strings.Contains(text, gauge) {
		t.Errorf("the metrics, %d, do not say %s", got, gauge)
	}
}

func ask(t *testing.T, address string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// run runs statements one after the other as the database's owner would.
func run(t *testing.T, database string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
