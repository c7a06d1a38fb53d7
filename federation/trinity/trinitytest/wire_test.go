package trinitytest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/abilityai/trinity-bridge/bridge/clocktest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alice = "alice@example.com"
	bob   = "bob@example.com"
	admin = "admin@example.com"
)

// trinity is a running simulation and the test's own client.
type trinity struct {
	*trinitytest.Server
	t     *testing.T
	clock *clocktest.Clock
	http  *http.Client
}

func start(t *testing.T, edits ...func(*trinitytest.Options)) *trinity {
	t.Helper()
	c := clocktest.At(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))
	o := trinitytest.Options{Now: c.Now, ProgressStep: time.Millisecond}
	for _, edit := range edits {
		edit(&o)
	}
	s, err := trinitytest.Start(o)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &trinity{Server: s, t: t, clock: c, http: client}
}

func with(change func(*trinitytest.Switches)) func(*trinitytest.Options) {
	return func(o *trinitytest.Options) { change(&o.Switches) }
}

// answer is a whole HTTP answer.
type answer struct {
	status int
	header http.Header
	body   string
}

// header is name, value, name, value …
type header []string

// send makes one request to an absolute URL.
func (y *trinity) send(method, url string, h header, body string) answer {
	y.t.Helper()
	res := y.open(y.t.Context(), method, url, h, body)
	data, err := io.ReadAll(res.Body)
	if err != nil {
		y.t.Fatalf("%s %s: reading the answer: %v", method, url, err)
	}
	if err := res.Body.Close(); err != nil {
		y.t.Fatalf("%s %s: %v", method, url, err)
	}
	return answer{res.StatusCode, res.Header, string(data)}
}

// open is send for an answer that streams.
func (y *trinity) open(ctx context.Context, method, url string, h header, body string) *http.Response {
	y.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		y.t.Fatal(err)
	}
	for i := 0; i < len(h); i += 2 {
		req.Header.Add(h[i], h[i+1])
	}
	res, err := y.http.Do(req)
	if err != nil {
		y.t.Fatalf("%s %s: %v", method, url, err)
	}
	y.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// api is a JSON request to the backend; token may be empty.
func (y *trinity) api(method, path, token, body string) answer {
	y.t.Helper()
	h := header{"Content-Type", "application/json"}
	if token != "" {
		h = append(h, "Authorization", "Bearer "+token)
	}
	return y.send(method, y.BackendURL()+path, h, body)
}

func (y *trinity) requestCode(email string) answer {
	y.t.Helper()
	return y.api("POST", "/api/auth/email/request", "", fmt.Sprintf(`{"email":%q}`, email))
}

func (y *trinity) verify(email, code string) answer {
	y.t.Helper()
	return y.api("POST", "/api/auth/email/verify", "", fmt.Sprintf(`{"email":%q,"code":%q}`, email, code))
}

// signIn goes through the e-mail code and returns the JWT.
func (y *trinity) signIn(email string) string {
	y.t.Helper()
	y.requestCode(email)
	return y.verify(email, y.LastCode(email)).member(y.t, "access_token")
}

// mint makes a user key with a JWT and returns its id and the key.
func (y *trinity) mint(jwt, name string) (id, key string) {
	y.t.Helper()
	a := y.api("POST", "/api/mcp/keys", jwt, fmt.Sprintf(`{"name":%q}`, name))
	a.want(y.t, 200)
	return a.member(y.t, "id"), a.member(y.t, "api_key")
}

// key makes a key behind the backend's back.
func (y *trinity) key(owner, name, scope, agent string) string {
	y.t.Helper()
	key, err := y.MintKey(owner, name, scope, agent)
	if err != nil {
		y.t.Fatalf("MintKey: %v", err)
	}
	return key
}

func (a answer) want(t *testing.T, status int) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d; body %s", a.status, status, a.body)
	}
}

func (a answer) wantBody(t *testing.T, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("got %d %s\nwant %d %s", a.status, a.body, status, body)
	}
}

func (a answer) wantDetail(t *testing.T, status int, detail string) {
	t.Helper()
	a.wantBody(t, status, fmt.Sprintf(`{"detail":%q}`, detail))
}

func (a answer) wantHeader(t *testing.T, name, want string) {
	t.Helper()
	if got := a.header.Values(name); want == "" && len(got) > 0 || want != "" && !cmp.Equal(got, []string{want}) {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

// decode reads a JSON object.
func (a answer) decode(t *testing.T) map[string]any {
	t.Helper()
	return decode(t, a.body)
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("not a JSON object: %v: %s", err, text)
	}
	return object
}

func (a answer) member(t *testing.T, name string) string {
	t.Helper()
	value, ok := a.decode(t)[name].(string)
	if !ok {
		t.Fatalf("no string %q in %d %s", name, a.status, a.body)
	}
	return value
}

// event is one SSE event; a comment has only text.
type event struct{ name, id, data, comment string }

// events reads SSE until the stream ends or n events are in.
func events(t *testing.T, r io.Reader, n int) []event {
	t.Helper()
	var all []event
	var current event
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for len(all) < n && lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			all = append(all, current)
			current = event{}
		case name == "":
			current.comment = value
		case name == "event":
			current.name = value
		case name == "id":
			current.id = value
		case name == "data":
			current.data = value
		default:
			t.Fatalf("unexpected SSE line %q", lines.Text())
		}
	}
	return all
}

const every = 1 << 30 // events until the stream ends
