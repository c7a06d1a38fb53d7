//go:build replicas

package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
)

const (
	replicas = 3
	families = 30
	rate     = 200 // refreshes per second, all families together
	loadFor  = 20 * time.Second
	killEach = 2 * time.Second
)

// bound is what a revocation may take to be known everywhere.
const bound = 2 * time.Second

// start runs replicas on a server of their own.
func start(t *testing.T, options ...bridgetest.Option) (*postgrestest.Server, *bridgetest.Processes) {
	t.Helper()
	server, err := postgrestest.Start()
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop()) })
	program := filepath.Join(t.TempDir(), "trinity-bridge")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/trinity-bridge")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	return server, bridgetest.StartProcesses(t, program, server.Database(t), replicas, options...)
}

func TestReplicas(t *testing.T) {
	server, p := start(t)
	client := p.Register(t)
	j := &journal{origin: p.URL, client: client.ID, statuses: map[string]int{}}
	for range families {
		j.families = append(j.families, &family{refresh: p.Connect(t, client, p.Someone()).Refresh})
	}
	t.Run("OP-01/a replica is killed again and again", func(t *testing.T) { killed(t, p, j) })
	t.Run("OP-01/the database is restarted", func(t *testing.T) { restarted(t, server, j) })
	t.Run("OP-05/the database is read only", func(t *testing.T) { unwritable(t, server, j) })
	t.Run("I10/a revocation is known everywhere", func(t *testing.T) { revoked(t, p, client, 20) })
	t.Run("I10/nobody is heard, and a revocation is known everywhere", func(t *testing.T) { deafened(t, p, client) })
}

func killed(t *testing.T, p *bridgetest.Processes, j *journal) {
	stop := j.load(t)
	kills := 0
	for began := time.Now(); time.Since(began) < loadFor; kills++ {
		time.Sleep(killEach)
		p.Kill(kills % replicas)
		p.Begin(t, kills%replicas)
	}
	stop()
	fmt.Printf("%d kills -9 of %d replicas, %d refreshes acknowledged, answers %v\n", kills, replicas, j.acknowledged(), j.taken())
	j.check(t)
}

func restarted(t *testing.T, server *postgrestest.Server, j *journal) {
	stop := j.load(t)
	restart(t, server)
	stop()
	answers := j.taken()
	fmt.Printf("PostgreSQL stopped for 2 s twice, answers %v\n", answers)
	for answer := range answers {
		if answer != "200" && answer != "503" {
			t.Errorf("an answer was %s", answer)
		}
	}
	if answers["503"] == 0 {
		t.Error("the restart was not noticed")
	}
	j.check(t)
}

// unwritable has the server take no writes for a while.
func unwritable(t *testing.T, server *postgrestest.Server, j *journal) {
	stop := j.load(t)
	time.Sleep(2 * time.Second)
	configure(t, server, "alter system set default_transaction_read_only to on")
	time.Sleep(2 * time.Second)
	configure(t, server, "set default_transaction_read_only to off; alter system reset default_transaction_read_only")
	time.Sleep(2 * time.Second)
	stop()
	answers := j.taken()
	fmt.Printf("PostgreSQL read only for 2 s, answers %v\n", answers)
	if answers["503"] == 0 || answers["200"] == 0 || len(answers) > 2 {
		t.Errorf("the answers were %v, want 200 and 503", answers)
	}
	j.check(t)
}

func configure(t *testing.T, server *postgrestest.Server, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	for _, one := range append(strings.Split(statement, "; "), "select pg_reload_conf()") {
		_, err = conn.Exec(t.Context(), one)
		must(t, err)
	}
}

// restart stops the server for a while twice: in order, and as in a crash.
func restart(t *testing.T, server *postgrestest.Server) {
	t.Helper()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		time.Sleep(2 * time.Second)
		must(t, server.Halt(signal))
		time.Sleep(2 * time.Second)
		must(t, server.Run())
	}
	time.Sleep(2 * time.Second)
}

// revoked measures from the answer to a revocation on one replica to the first refused call on all others.
func revoked(t *testing.T, p *bridgetest.Processes, client bridgetest.Client, rounds int) {
	t.Helper()
	var took []time.Duration
	for range rounds {
		tokens := p.Connect(t, client, p.Someone())
		for i := range replicas {
			if status := call(t, p, i, tokens.Access); status != http.StatusOK {
				t.Fatalf("replica %d answers %d to a live grant", i, status)
			}
		}
		form := url.Values{"token": {tokens.Refresh}, "client_id": {client.ID}}
		if status, _, err := post(direct, p.Replica(0), host(p), "/oauth/revoke", form); err != nil || status != http.StatusOK {
			t.Fatalf("revoking: %d, %v", status, err)
		}
		began := time.Now()
		for i := range replicas {
			for call(t, p, i, tokens.Access) != http.StatusUnauthorized {
				if time.Since(began) > 10*bound {
					t.Fatalf("replica %d still serves a revoked grant", i)
				}
			}
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	fmt.Printf("revocation known on all of %d replicas: p50 %s, max %s of %d\n", replicas, took[rounds/2], took[rounds-1], rounds)
	if took[rounds-1] > bound {
		t.Errorf("a revocation took %s", took[rounds-1])
	}
}

// family is one refresh family as its client knows it.
type family struct {
	mu      sync.Mutex
	refresh string // the last one acknowledged
	acked   int
	lost    string
}

// journal is what the clients were told.
type journal struct {
	origin, client string
	families       []*family
	mu             sync.Mutex
	statuses       map[string]int
}

// load refreshes all families at the rate until the function it returns is called.
func (j *journal) load(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for _, f := range j.families {
		clients.Go(func() {
			ticker := time.NewTicker(time.Second * families / rate)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
					j.refresh(f)
				}
			}
		})
	}
	return func() { cancel(); clients.Wait() }
}

// refresh presents the last acknowledged token, as a client does that never heard an answer, too.
func (j *journal) refresh(f *family) {
	f.mu.Lock()
	defer f.mu.Unlock()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {f.refresh}, "client_id": {j.client}}
	address := strings.TrimPrefix(j.origin, "http://")
	status, body, err := post(direct, address, address, "/oauth/token", form)
	if err != nil {
		j.note("connection lost")
		return
	}
	j.note(fmt.Sprint(status))
	var tokens bridgetest.Tokens
	switch {
	case status == http.StatusOK && json.Unmarshal(body, &tokens) == nil && tokens.Refresh != "":
		f.refresh = tokens.Refresh
		f.acked++
	case status < http.StatusInternalServerError:
		f.lost = fmt.Sprintf("%d %s", status, body)
	}
}

func (j *journal) note(answer string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.statuses[answer]++
}

// taken returns the answers so far, and begins anew.
func (j *journal) taken() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	answers := j.statuses
	j.statuses = map[string]int{}
	return answers
}

func (j *journal) acknowledged() int {
	total := 0
	for _, f := range j.families {
		total += f.acked
	}
	return total
}

// check wants every family alive at the token that was acknowledged last.
func (j *journal) check(t *testing.T) {
	t.Helper()
	for i, f := range j.families {
		before := f.acked
		for range 20 { // a proxy may still hold a connection to who is gone
			if j.refresh(f); f.acked > before {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if f.lost != "" || f.acked == before {
			t.Errorf("family %d is lost after %d acknowledged refreshes: %s", i, before, f.lost)
		}
	}
	j.taken()
}

// direct has each request come on a connection of its own, and so to the next replica.
var direct = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func host(p *bridgetest.Processes) string { return strings.TrimPrefix(p.URL, "http://") }

// post posts a form to an address under the public host's name.
func post(client *http.Client, address, host, path string, form url.Values) (int, []byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+address+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	req.Host = host
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// call begins an MCP session at one replica and returns the status, 0 when the answer was broken off: so it is when the
// grant ends meanwhile.
func call(t *testing.T, p *bridgetest.Processes, i int, access string) int {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.Replica(i)+"/mcp", strings.NewReader(body))
	must(t, err)
	req.Host = host(p)
	req.Header.Set("Authorization", "Bearer "+access)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := direct.Do(req)
	if errors.Is(err, io.EOF) {
		return 0
	}
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}
