package trinitytest_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

func TestConditions(t *testing.T) {
	t.Parallel()
	sides := map[string]struct {
		url func(*trinity) string
		set func(*trinitytest.Switches, trinitytest.Condition)
	}{
		"backend": {
			func(y *trinity) string { return y.BackendURL() + "/api/auth/mode" },
			func(s *trinitytest.Switches, c trinitytest.Condition) { s.Backend = c },
		},
		"mcp": {
			func(y *trinity) string { return strings.TrimSuffix(y.MCPURL(), "/mcp") + "/health" },
			func(s *trinitytest.Switches, c trinitytest.Condition) { s.MCP = c },
		},
	}
	for name, side := range sides {
		condition := func(t *testing.T, c trinitytest.Condition) *trinity {
			t.Helper()
			y := start(t)
			y.Set(func(s *trinitytest.Switches) { side.set(s, c) })
			return y
		}
		t.Run(name+"/down and back on the same address", func(t *testing.T) {
			t.Parallel()
			y := condition(t, trinitytest.Healthy)
			url := side.url(y)
			for range 3 {
				y.send("GET", url, nil, "").want(t, 200)
				y.Set(func(s *trinitytest.Switches) { side.set(s, trinitytest.Down) })
				if err := dial(t, url); err == nil {
					t.Fatal("a connection was accepted")
				}
				y.Set(func(s *trinitytest.Switches) { side.set(s, trinitytest.Healthy) })
			}
			y.send("GET", url, nil, "").want(t, 200)
		})
		t.Run(name+"/hanging", func(t *testing.T) {
			t.Parallel()
			y := condition(t, trinitytest.Hanging)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, side.url(y), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if res, err := y.http.Do(req); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("answer %v, %v", res, err)
			}
		})
		t.Run(name+"/slow", func(t *testing.T) {
			t.Parallel()
			y := condition(t, trinitytest.Slow)
			y.Set(func(s *trinitytest.Switches) { s.SlowInterval = time.Microsecond })
			a := y.send("GET", side.url(y), nil, "")
			a.want(t, 200)
			a.wantHeader(t, "Content-Length", "") // it came in pieces
		})
		t.Run(name+"/HTML on every path", func(t *testing.T) {
			t.Parallel()
			y := condition(t, trinitytest.ServingHTML)
			for _, method := range []string{"GET", "POST", "DELETE"} {
				a := y.send(method, side.url(y), nil, "")
				a.want(t, 200)
				a.wantHeader(t, "Content-Type", "text/html")
			}
		})
		t.Run(name+"/redirecting", func(t *testing.T) {
			t.Parallel()
			y := condition(t, trinitytest.Redirecting)
			a := y.send("GET", side.url(y), nil, "")
			a.want(t, 302)
			a.wantHeader(t, "Location", "/login")
		})
		t.Run(name+"/failing", func(t *testing.T) {
			t.Parallel()
			y := condition(t, trinitytest.Failing)
			a := y.send("GET", side.url(y), nil, "")
			a.want(t, 500)
			if trace := strings.Contains(a.body, "    at "); trace != (name == "mcp") {
				t.Errorf("body %s", a.body)
			}
		})
		t.Run(name+"/echoing credentials", func(t *testing.T) {
			t.Parallel()
			y := condition(t, trinitytest.EchoingCredentials)
			a := y.send("GET", side.url(y), header{"Authorization", "Bearer canary"}, "")
			a.want(t, 500)
			if !strings.Contains(a.body, "Bearer canary") {
				t.Errorf("body %s", a.body)
			}
		})
	}
	t.Run("mcp/leaking headers", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.MCPLeaksHeaders = true }))
		a := y.mcp("POST", y.key(alice, "k", "user", ""), "", initialize)
		if a.header.Get("Set-Cookie") == "" || a.header.Get("X-Api-Key") == "" {
			t.Errorf("headers %v", a.header)
		}
	})
	t.Run("down from the start", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.Backend, s.MCP = trinitytest.Down, trinitytest.Down }))
		for _, url := range []string{y.BackendURL(), y.MCPURL()} {
			if err := dial(t, url); err == nil {
				t.Error("a connection was accepted")
			}
		}
	})
}

// dial opens a bare connection.
func dial(t *testing.T, url string) error {
	t.Helper()
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", host)
	if err != nil {
		return err
	}
	return conn.Close()
}

func TestRestartMCP(t *testing.T) {
	t.Parallel()
	y := start(t)
	key := y.key(alice, "k", "user", "")
	session := y.openSession(key)
	stream := y.open(t.Context(), "GET", y.MCPURL(), mcpHeader("GET", key, session), "")
	y.KillMCP()
	if got := events(t, stream.Body, every); len(got) > 0 {
		t.Errorf("events %+v", got)
	}
	if err := dial(t, y.MCPURL()); err == nil {
		t.Error("a killed server accepts connections")
	}
	y.Set(func(s *trinitytest.Switches) { s.MCP = trinitytest.Healthy })
	if err := dial(t, y.MCPURL()); err == nil {
		t.Error("Set brought a killed server back")
	}
	if err := y.RestartMCP(); err != nil {
		t.Fatal(err)
	}
	y.http.CloseIdleConnections() // they died with the old process
	y.mcp("POST", key, session, toolsList).wantBody(t, 404, `{"error":{"code":-32001,"message":"Session not found"},"id":null,"jsonrpc":"2.0"}`)
	session = y.openSession(key)
	if err := y.RestartMCP(); err != nil {
		t.Fatal(err)
	}
	y.http.CloseIdleConnections() // they died with the old process
	y.mcp("POST", key, session, toolsList).want(t, 404)
}

func TestRestartMCP_cutsCalls(t *testing.T) {
	t.Parallel()
	y := start(t, func(o *trinitytest.Options) { o.ProgressStep = time.Hour })
	key := y.key(alice, "k", "user", "")
	res := y.open(t.Context(), "POST", y.MCPURL(), mcpHeader("POST", key, y.openSession(key)), slow(2, ""))
	y.KillMCP() // returns although the call would take two hours
	if got := events(t, res.Body, every); len(got) > 0 {
		t.Errorf("events %+v", got)
	}
}

func TestStateFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "trinity.json")
	stored := func(o *trinitytest.Options) { o.StateFile = file }
	first := start(t, stored)
	jwt, ended := first.signIn(alice), first.signIn(alice)
	first.api("POST", "/api/auth/logout", ended, "").want(t, 200)
	id, key := first.mint(jwt, "kept")
	revoked, _ := first.mint(jwt, "revoked")
	first.api("POST", "/api/mcp/keys/"+revoked+"/revoke", jwt, "").want(t, 200)
	for _, err := range []error{
		first.SetRole(bob, "creator"), first.Suspend(admin, true), first.AddToWhitelist("carol@example.com"), first.RemoveFromWhitelist(bob),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	before := first.Keys()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state file: %v, %v", info.Mode(), err)
	}
	data, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(data), key) {
		t.Errorf("the state file holds a key in clear, or: %v", err)
	}

	// The first server is not closed: what it wrote must be enough, as after a kill.
	second := start(t, stored)
	if diff := cmp.Diff(before, second.Keys()); diff != "" {
		t.Error(diff)
	}
	second.api("GET", "/api/users/me", jwt, "").want(t, 200)
	second.api("GET", "/api/users/me", ended, "").want(t, 401)
	second.api("GET", "/api/users/me", key, "").want(t, 200)
	second.api("GET", "/api/mcp/keys/"+id, jwt, "").want(t, 200)
	second.signIn("carol@example.com")
	second.requestCode(bob)
	if second.LastCode(bob) != "" {
		t.Error("the restart put a removed address back on the whitelist")
	}
	if got := second.LiveJWTs(); got != 2 {
		t.Errorf("live JWTs %d, want alice's and carol's", got)
	}
	if left, _ := filepath.Glob(file + ".*"); len(left) > 0 {
		t.Errorf("temporary files left: %q", left)
	}
}

func TestStateFile_unusable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"damaged": `{"version":1,"jwt_secret":"c2VjcmV0`, "of another version": `{"version":2}`, "with an unknown member": `{"version":1,"nonsense":true}`, "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := trinitytest.Start(trinitytest.Options{StateFile: file})
			if err == nil {
				_ = s.Close()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "c2Vj") {
				t.Errorf("error %q should name the file and quote nothing of it", err)
			}
		})
	}
	t.Run("in a folder that is not there", func(t *testing.T) {
		t.Parallel()
		_, err := trinitytest.Start(trinitytest.Options{StateFile: filepath.Join(dir, "missing", "state.json")})
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	})
}

func TestStateFile_lost(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := trinitytest.Start(trinitytest.Options{StateFile: filepath.Join(dir, "trinity.json")})
	if err != nil {
		t.Fatal(err)
	}
	y := &trinity{Server: s, t: t, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	jwt := y.signIn(alice)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	y.api("POST", "/api/mcp/keys", jwt, `{"name":"k"}`).wantBody(t, 500, "Internal Server Error")
	y.requestCode(alice)
	y.verify(alice, y.LastCode(alice)).wantBody(t, 500, "Internal Server Error")
	y.api("POST", "/api/auth/logout", jwt, "").wantBody(t, 500, "Internal Server Error")
	if err := s.Close(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Close: %v, want the loss reported", err)
	}
}

func TestStart_refusals(t *testing.T) {
	t.Parallel()
	y := start(t)
	taken := strings.TrimPrefix(y.BackendURL(), "http://")
	for name, o := range map[string]trinitytest.Options{
		"backend address taken": {BackendAddr: taken},
		"MCP address taken":     {MCPAddr: taken},
		"no address to mail":    {People: []trinitytest.Person{{Username: "x"}}},
		"unknown role":          {People: []trinitytest.Person{{Email: alice, Role: "owner"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if s, err := trinitytest.Start(o); err == nil {
				_ = s.Close()
				t.Error("started")
			}
		})
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	t.Run("what arrived, oldest first", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		y.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Failing }) // recorded all the same
		y.send("POST", y.BackendURL()+"/api/x?y=z", header{"X-Test", "1"}, "body")
		y.mcp("GET", "", "", "")
		got := y.Requests()
		if len(got) != 2 {
			t.Fatalf("%d requests", len(got))
		}
		r := got[0]
		if r.Side != trinitytest.SideBackend || r.Method != "POST" || r.Path != "/api/x" || r.Query != "y=z" || string(r.Body) != "body" || r.Header.Get("X-Test") != "1" || !r.At.Equal(y.clock.Now()) {
			t.Errorf("request %+v", r)
		}
		if got[1].Side != trinitytest.SideMCP {
			t.Errorf("request %+v", got[1])
		}
		y.ResetRequests()
		if got := y.Requests(); len(got) != 0 {
			t.Errorf("%d requests after the reset", len(got))
		}
	})
}

// Everything at once, for the race detector.
func TestServer_concurrently(t *testing.T) {
	t.Parallel()
	y := start(t, with(func(s *trinitytest.Switches) { s.NoNetworkLockout = true }))
	key := y.key(alice, "k", "user", "")
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for range 5 {
				session := y.openSession(key)
				y.call(key, session, "list_agents", "{}")
				y.mcp("POST", key, session, slow(2, `,"_meta":{"progressToken":1}`)).want(t, 200)
				y.requestCode(alice)
				y.mcp("DELETE", key, session, "").want(t, 200)
			}
		})
	}
	workers.Go(func() {
		for i := range 20 {
			y.Set(func(s *trinitytest.Switches) { s.AdvertiseListChanged = i%2 == 0 })
			y.ExposeAgent("writer")
			y.HideAgent("writer")
			_, _, _ = y.Keys(), y.Requests(), y.LiveJWTs()
		}
	})
	workers.Wait()
}

func TestServer_closeIsFinal(t *testing.T) {
	t.Parallel()
	y := start(t)
	if err := y.Close(); err != nil {
		t.Fatal(err)
	}
	if err := y.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	y.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Healthy })
	y.KillMCP()
	if err := y.RestartMCP(); err == nil {
		t.Error("a closed server restarted")
	}
	for _, url := range []string{y.BackendURL(), y.MCPURL()} {
		if err := dial(t, url); err == nil {
			t.Error("a closed server accepts connections")
		}
	}
}
