package oauth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clients"
)

// rows is a store of clients that keeps none, or that has no room.
type rows struct {
	bridge.ClientStore
	bridge.AuditStore
	err error
}

func (s rows) CreateClient(context.Context, bridge.Client, int) error { return s.err }

func (rows) AppendAudit(context.Context, []bridge.AuditEvent) error { return nil }

// newRegister is the endpoint with no limit on its pace.
func newRegister(t testing.TB, store rows) *Register {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	registry, err := clients.New(clients.Options{Store: store, Now: time.Now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return &Register{Clients: registry, Limit: &Registrations{now: time.Now, all: rate.NewLimiter(rate.Inf, 0)}, Trail: audit.New(store, log, time.Now), Log: log}
}

func (g *Register) answer(body string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, "/oauth/register", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	g.serve(recorder, request)
	return recorder
}

// DC-07: when there is no room for another registration, that alone is refused, and it is said when to try again.
func TestRegister_DC07_full(t *testing.T) {
	t.Parallel()
	g := newRegister(t, rows{err: bridge.ErrFull})
	got := g.answer(`{"redirect_uris":["https://app.example.com/callback"]}`)
	if got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") != "60" ||
		!strings.Contains(got.Body.String(), `"error":"temporarily_unavailable"`) {
		t.Errorf("%d %v %s", got.Code, got.Header(), got.Body)
	}
}

// registrationSeeds are bodies that real clients send and that the catalogue of attacks has.
var registrationSeeds = []string{
	`{"client_name":"Claude","redirect_uris":["https://claude.ai/api/mcp/auth_callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"client_secret_post","scope":"claudeai"}`,
	`{"client_name":"Claude Code","redirect_uris":["http://localhost:3118/callback"],"token_endpoint_auth_method":"none"}`,
	`{"redirect_uris":["http://localhost:8787/callback","cursor://anysphere.cursor-mcp/oauth/callback"],"application_type":"web"}`,
	`{"redirect_uris":["javascript:alert(1)"]}`, `{"redirect_uris":["https://a.example.com/cb#x","http://127.0.0.1.evil.example/"]}`,
	`{"redirect_uris":["https://a.example.com/cb"],"redirect_uris":["javascript:alert(1)"]}`,
	`{"REDIRECT_URIS":["https://a.example.com/cb"],"client_id":"https://mine.example.com/c"}`,
	`{"redirect_uris":["https://a.example.com/cb"],"client_name":null,"contacts":["",null],"scope":"  trinity:admin  bogus "}`,
	`{"redirect_uris":["https://a.example.com/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}}`,
	`{"redirect_uris":["https://a.example.com/cb"],"jwks_uri":"http://169.254.169.254/","logo_uri":"file:///etc/passwd","dpop_bound_access_tokens":true}`,
	`{"redirect_uris":{}}`, `[]`, `null`, `{"redirect_uris":["` + strings.Repeat("x", 3000) + `"]}`, "\xef\xbb\xbf{}", `{"client_name":"\ud800"}`,
}

// FuzzRegister: whatever is posted, the answer is a registration that real clients can read and that holds to our rules,
// or an error of RFC 7591 with nothing stored.
func FuzzRegister(f *testing.F) {
	for _, seed := range registrationSeeds {
		f.Add(seed)
	}
	g := newRegister(f, rows{})
	f.Fuzz(func(t *testing.T, body string) {
		got := g.answer(body)
		var answer map[string]any
		if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%d %s: %v", got.Code, got.Body, err)
		}
		if got.Code != http.StatusCreated {
			code, _ := answer["error"].(string)
			if !slices.Contains([]int{http.StatusBadRequest, http.StatusRequestEntityTooLarge}, got.Code) || !strings.HasPrefix(code, "invalid_") {
				t.Fatalf("refused with %d %s", got.Code, got.Body)
			}
			return
		}
		wantReadable(t, answer)
	})
}

// wantReadable checks what broke clients at other servers.
func wantReadable(t *testing.T, answer map[string]any) {
	t.Helper()
	for name, value := range answer {
		if list, isList := value.([]any); value == nil || value == "" || isList && len(list) == 0 {
			t.Errorf("B35: %s is %v", name, value)
		}
	}
	if id, _ := answer["client_id"].(string); !strings.HasPrefix(id, "client-") {
		t.Errorf("DC-09: the id %q", id)
	}
	_, given := answer["client_secret"]
	_, expires := answer["client_secret_expires_at"].(float64)
	method := answer["token_endpoint_auth_method"]
	if needs := method == "client_secret_post" || method == "client_secret_basic"; given != needs || expires != needs {
		t.Errorf("B34: method %v, secret %v", method, given)
	}
	redirects, _ := answer["redirect_uris"].([]any)
	if len(redirects) == 0 {
		t.Error("no redirect URI")
	}
	for _, redirect := range redirects {
		text, _ := redirect.(string)
		if err := clients.CheckRedirect(text); err != nil {
			t.Errorf("DC-01 %q: %v", text, err)
		}
	}
}
