package trinity_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/federation/trinity"
)

const (
	someJWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
	someKey = "trinity_mcp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	keyID   = "AAAAAAAAAAAAAAAAAAAAAA"
)

// canned answers every request alike and keeps the last one.
type canned struct {
	status      int
	contentType string
	body        string

	seen     *http.Request
	seenBody string
}

func (c *canned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.seen, c.seenBody = r, string(body)
	w.Header().Set("Content-Type", c.contentType)
	w.WriteHeader(c.status)
	_, _ = io.WriteString(w, c.body)
}

func (c *canned) api(t *testing.T) *trinity.API {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return trinity.NewAPI(parse(t, server.URL))
}

func parse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// calls is every route of the API as one function of an error.
func calls() map[string]func(ctx context.Context, api *trinity.API) error {
	return map[string]func(ctx context.Context, api *trinity.API) error{
		"Ping": func(ctx context.Context, api *trinity.API) error { return api.Ping(ctx) },
		"RequestCode": func(ctx context.Context, api *trinity.API) error {
			return api.RequestCode(ctx, "alice@example.com", netip.Addr{})
		},
		"VerifyCode": func(ctx context.Context, api *trinity.API) error {
			got, err := api.VerifyCode(ctx, "alice@example.com", "123456", netip.Addr{})
			return errors.Join(err, nothing(err, reflect.DeepEqual(got, trinity.Verified{})))
		},
		"StartEnrolment": func(ctx context.Context, api *trinity.API) error {
			got, err := api.StartEnrolment(ctx, secret.New(someJWT), netip.Addr{})
			return errors.Join(err, nothing(err, got == trinity.Enrolment{}))
		},
		"ConfirmEnrolment": func(ctx context.Context, api *trinity.API) error {
			got, err := api.ConfirmEnrolment(ctx, secret.New(someJWT), "123456", netip.Addr{})
			return errors.Join(err, nothing(err, reflect.DeepEqual(got, trinity.Verified{})))
		},
		"AnswerSecondFactor": func(ctx context.Context, api *trinity.API) error {
			got, err := api.AnswerSecondFactor(ctx, secret.New(someJWT), "123456", netip.Addr{})
			return errors.Join(err, nothing(err, got.IsZero()))
		},
		"Me": func(ctx context.Context, api *trinity.API) error {
			got, err := api.Me(ctx, secret.New(someJWT))
			return errors.Join(err, nothing(err, got == bridge.Account{}))
		},
		"Validate": func(ctx context.Context, api *trinity.API) error {
			got, err := api.Validate(ctx, secret.New(someKey))
			return errors.Join(err, nothing(err, got == trinity.Principal{}))
		},
		"MintKey": func(ctx context.Context, api *trinity.API) error {
			_, err := api.MintKey(ctx, secret.New(someJWT), "name", "description")
			return err // what was minted by mistake is named, so that it can be revoked
		},
		"RevokeKey": func(ctx context.Context, api *trinity.API) error {
			return api.RevokeKey(ctx, secret.New(someKey), keyID)
		},
		"Logout": func(ctx context.Context, api *trinity.API) error { return api.Logout(ctx, secret.New(someJWT)) },
	}
}

var errHalf = errors.New("an error came with a usable value, or none with none")

func nothing(err error, empty bool) error {
	if (err != nil) != empty {
		return errHalf
	}
	return nil
}

const marker = "upstream-words-nobody-may-see"

// An answer that nobody foresaw is neither a yes nor a definite no, and none of its words get out.
func TestAPI_contract9_4_unusableAnswers(t *testing.T) {
	t.Parallel()
	const jsonType, html = "application/json", "text/html; charset=utf-8"
	answers := map[string]canned{
		"HTML 200":                   {status: 200, contentType: html, body: "<!doctype html><title>" + marker},
		"HTML 401 of a proxy":        {status: 401, contentType: html, body: marker},
		"HTML 403 of a proxy":        {status: 403, contentType: html, body: marker},
		"HTML 404 of a proxy":        {status: 404, contentType: html, body: marker},
		"redirect":                   {status: 302, contentType: html, body: marker},
		"502":                        {status: 502, contentType: html, body: marker},
		"500 text":                   {status: 500, contentType: "text/plain", body: marker},
		"500 JSON":                   {status: 500, contentType: jsonType, body: `{"detail":"` + marker + `"}`},
		"418 JSON":                   {status: 418, contentType: jsonType, body: `{"detail":"` + marker + `"}`},
		"401 without detail":         {status: 401, contentType: jsonType, body: `{}`},
		"401 of a JSON-RPC server":   {status: 401, contentType: jsonType, body: `{"error":{"message":"` + marker + `"}}`},
		"403 without detail":         {status: 403, contentType: jsonType, body: `{}`},
		"no content type":            {status: 200, contentType: "", body: `{"access_token":"` + someJWT + `"}`},
		"JSON under another type":    {status: 200, contentType: "text/json", body: `{"username":"alice@example.com"}`},
		"not JSON":                   {status: 200, contentType: jsonType, body: marker},
		"cut off":                    {status: 200, contentType: jsonType, body: `{"username":"` + marker},
		"an array":                   {status: 200, contentType: jsonType, body: `["` + marker + `"]`},
		"a name twice":               {status: 200, contentType: jsonType, body: `{"a":1,"a":2}`},
		"too large":                  {status: 200, contentType: jsonType, body: `{"a":"` + strings.Repeat("x", 65<<10) + `"}`},
		"larger than is read at all": {status: 200, contentType: jsonType, body: `{"a":"` + strings.Repeat("x", 300<<10) + `"}`},
	}
	for answer, server := range answers {
		for route, call := range calls() {
			t.Run(route+"/"+answer, func(t *testing.T) {
				t.Parallel()
				mine := server
				err := call(t.Context(), mine.api(t))
				if !errors.Is(err, trinity.ErrUnavailable) || errors.Is(err, errHalf) {
					t.Fatalf("got %v, want ErrUnavailable and no value", err)
				}
				if strings.Contains(err.Error(), marker) {
					t.Errorf("the error repeats Trinity's words: %v", err)
				}
			})
		}
	}
}

// A 2xx without what was asked for is a failure (#2322), whatever else it holds.
func TestAPI_contract1_3_twoHundredWithoutTheValue(t *testing.T) {
	t.Parallel()
	tests := []struct{ route, name, body string }{
		{"Ping", "another service", `{"status":"ok"}`},
		{"VerifyCode", "empty", `{}`},
		{"VerifyCode", "null token", `{"access_token":null}`},
		{"VerifyCode", "empty token", `{"access_token":"","token_type":"bearer"}`},
		{"VerifyCode", "token of another form", `{"access_token":"not a jwt"}`},
		{"VerifyCode", "token with a line break", `{"access_token":"a.b.c\r\nX: y"}`},
		{"VerifyCode", "token of another case", `{"Access_Token":"` + someJWT + `"}`},
		{"VerifyCode", "token that is a number", `{"access_token":1}`},
		{"VerifyCode", "challenge without token", `{"mfa_required":true,"mfa_enrolled":true}`},
		{"VerifyCode", "challenge beside a token", `{"mfa_required":true,"access_token":"` + someJWT + `"}`},
		{"VerifyCode", "challenge as text", `{"mfa_required":"true","challenge_token":"` + someJWT + `"}`},
		{"VerifyCode", "oversized token", `{"access_token":"a.b.` + strings.Repeat("c", 9<<10) + `"}`},
		{"AnswerSecondFactor", "empty", `{}`},
		{"AnswerSecondFactor", "another challenge", `{"mfa_required":true,"challenge_token":"` + someJWT + `"}`},
		{"Me", "empty", `{}`},
		{"Me", "null username", `{"username":null,"email":"alice@example.com"}`},
		{"Me", "username with a line break", `{"username":"alice\nbob"}`},
		{"Me", "username of another case", `{"Username":"alice"}`},
		{"Me", "long username", `{"username":"` + strings.Repeat("a", 321) + `"}`},
		{"Validate", "empty", `{}`},
		{"Validate", "valid absent", `{"user_id":"alice","scope":"user"}`},
		{"Validate", "not valid", `{"valid":false,"user_id":"alice","scope":"user"}`},
		{"Validate", "valid as text", `{"valid":"true","user_id":"alice","scope":"user"}`},
		{"Validate", "no user", `{"valid":true,"scope":"user"}`},
		{"Validate", "no scope", `{"valid":true,"user_id":"alice"}`},
		{"MintKey", "empty", `{}`},
		{"MintKey", "no key", `{"id":"` + keyID + `","scope":"user"}`},
		{"MintKey", "no id", `{"scope":"user","api_key":"` + someKey + `"}`},
		{"MintKey", "id that is a path", `{"id":"../validate","scope":"user","api_key":"` + someKey + `"}`},
		{"MintKey", "key of another form", `{"id":"` + keyID + `","scope":"user","api_key":"trinity_mcp_short"}`},
		{"MintKey", "no scope", `{"id":"` + keyID + `","api_key":"` + someKey + `"}`},
		{"MintKey", "system scope", `{"id":"` + keyID + `","scope":"system","api_key":"` + someKey + `"}`},
	}
	for _, tt := range tests {
		t.Run(tt.route+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			server := canned{status: 200, contentType: "application/json", body: tt.body}
			err := calls()[tt.route](t.Context(), server.api(t))
			if !errors.Is(err, trinity.ErrUnavailable) || errors.Is(err, errHalf) {
				t.Fatalf("got %v, want ErrUnavailable and no value", err)
			}
		})
	}
}

func TestAPI_definiteRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		section, route string
		status         int
		body           string
		want           error // nil: not a failure
	}{
		{"1.2", "RequestCode", 403, `{"detail":"setup_required"}`, trinity.ErrSetupRequired},
		{"1.2", "RequestCode", 403, `{"detail":"Email authentication is disabled"}`, trinity.ErrEmailDisabled},
		{"1.2", "RequestCode", 403, `{"detail":"something new"}`, trinity.ErrUnavailable},
		{"1.3", "VerifyCode", 401, `{"detail":"Invalid or expired verification code"}`, trinity.ErrWrongCode},
		{"1.3", "VerifyCode", 403, `{"detail":"setup_required"}`, trinity.ErrSetupRequired},
		{"1.3", "VerifyCode", 403, `{"detail":"Email authentication is disabled"}`, trinity.ErrEmailDisabled},
		{"1.6", "AnswerSecondFactor", 401, `{"detail":"Invalid code"}`, trinity.ErrWrongCode},
		{"1.6", "AnswerSecondFactor", 400, `{"detail":"Invalid code"}`, trinity.ErrWrongCode},
		{"1.6", "AnswerSecondFactor", 422, `{"detail":[{"msg":"too short"}]}`, trinity.ErrWrongCode},
		{"1.6", "AnswerSecondFactor", 404, `{"detail":"Not Found"}`, trinity.ErrNoSecondFactor},
		{"1.8", "Me", 401, `{"detail":"Could not validate credentials"}`, trinity.ErrUnauthorized},
		{"3.4", "Me", 403, `{"detail":"not for this scope"}`, trinity.ErrForbidden},
		{"3.2", "Validate", 401, `{"detail":"Invalid or inactive API key"}`, trinity.ErrUnauthorized},
		{"3.3", "MintKey", 403, `{"detail":"This operation requires an interactive session"}`, trinity.ErrForbidden},
		{"3.2", "MintKey", 401, `{"detail":"Could not validate credentials"}`, trinity.ErrUnauthorized},
		{"3.2", "RevokeKey", 200, `{"message":"gone"}`, nil},
		{"3.2", "RevokeKey", 404, `{"detail":"API key not found"}`, nil},
		{"3.3", "RevokeKey", 403, `{"detail":"This operation requires an interactive session"}`, trinity.ErrForbidden},
		{"3.2", "RevokeKey", 401, `{"detail":"Could not validate credentials"}`, trinity.ErrUnauthorized},
		{"1.8", "Logout", 200, `{"status":"logged_out"}`, nil},
		{"1.8", "Logout", 401, `{"detail":"Not authenticated"}`, nil},
		{"1.8", "Logout", 404, `{"detail":"Not Found"}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.section+"/"+tt.route+"/"+tt.body, func(t *testing.T) {
			t.Parallel()
			server := canned{status: tt.status, contentType: "application/json", body: tt.body}
			if err := calls()[tt.route](t.Context(), server.api(t)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestAPI_contract1_3_lockoutSeconds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		want       time.Duration
	}{
		{"account", `{"detail":"Too many failed attempts for this account. Try again in 840 seconds."}`, 840 * time.Second},
		{"network", `{"detail":"Too many login attempts from this network. Try again in 12 seconds."}`, 12 * time.Second},
		{"code", `{"detail":"Too many verification attempts. Request a new code or try again in 1 seconds."}`, time.Second},
		{"zero", `{"detail":"Try again in 0 seconds."}`, time.Second},
		{"absurd", `{"detail":"Try again in 999999999 seconds."}`, time.Hour},
		{"too long to read", `{"detail":"Try again in 99999999999999999999 seconds."}`, 5 * time.Minute},
		{"minutes", `{"detail":"Too many requests. Please try again in 10 minutes."}`, 5 * time.Minute},
		{"absent", `{}`, 5 * time.Minute},
		{"an object", `{"detail":{"retry":"7 seconds"}}`, 7 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := canned{status: 429, contentType: "application/json", body: tt.body}
			_, err := server.api(t).VerifyCode(t.Context(), "alice@example.com", "123456", netip.Addr{})
			var locked *trinity.LockedOutError
			if !errors.As(err, &locked) || locked.For != tt.want {
				t.Errorf("got %v, want locked out for %v", err, tt.want)
			}
		})
	}
}

func TestAPI_contract1_4_headersOfACall(t *testing.T) {
	t.Parallel()
	server := canned{status: 200, contentType: "application/json", body: `{"success":true}`}
	api := server.api(t)
	ctx := audit.WithRequestID(t.Context(), "ref-1")
	if err := api.RequestCode(ctx, "alice@example.com", netip.MustParseAddr("::ffff:192.0.2.7")); err != nil {
		t.Fatal(err)
	}
	header := server.seen.Header
	header.Del("User-Agent")
	header.Del("Content-Length")
	want := http.Header{
		"Accept": {"application/json"}, "Content-Type": {"application/json"},
		"X-Request-Id": {"ref-1"}, "X-Forwarded-For": {"192.0.2.7"},
	}
	if diff := cmp.Diff(want, header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if server.seen.URL.String() != "/api/auth/email/request" || server.seenBody != `{"email":"alice@example.com"}` {
		t.Errorf("sent %s with %s", server.seen.URL, server.seenBody)
	}
	if err := api.RequestCode(t.Context(), "alice@example.com", netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	if got := server.seen.Header.Values("X-Forwarded-For"); got != nil {
		t.Errorf("an address nobody determined was sent: %q", got)
	}
}

func TestAPI_unreachable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	api := trinity.NewAPI(parse(t, server.URL))
	server.Close()
	for route, call := range calls() {
		err := call(t.Context(), api)
		if !errors.Is(err, trinity.ErrUnavailable) || !errors.Is(err, outbound.ErrUnreachable) {
			t.Errorf("%s: got %v, want ErrUnavailable because of ErrUnreachable", route, err)
		}
	}
}

func TestAPI_basePathIsKept(t *testing.T) {
	t.Parallel()
	server := canned{status: 200, contentType: "application/json", body: `{"email_auth_enabled":true}`}
	running := httptest.NewServer(&server)
	t.Cleanup(running.Close)
	if err := trinity.NewAPI(parse(t, running.URL+"/backend/")).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := server.seen.URL.Path; got != "/backend/api/auth/mode" {
		t.Errorf("asked %s", got)
	}
}

func TestAPI_RevokeKey_idThatIsNoID(t *testing.T) {
	t.Parallel()
	server := canned{status: 200, contentType: "application/json", body: `{}`}
	api := server.api(t)
	for _, id := range []string{"", "..", "../../api/auth/logout", "a/b", "a?b", strings.Repeat("a", 65)} {
		if err := api.RevokeKey(t.Context(), secret.New(someKey), id); !errors.Is(err, trinity.ErrUnavailable) {
			t.Errorf("RevokeKey(%q) = %v, want a refusal", id, err)
		}
	}
	if server.seen != nil {
		t.Errorf("Trinity was asked %s", server.seen.URL)
	}
}

// What Trinity sends and we do not know is no reason to fail.
func TestAPI_unknownMembersAreIgnored(t *testing.T) {
	t.Parallel()
	server := canned{status: 200, contentType: "application/json; charset=utf-8", body: `{
		"username":"alice@example.com","email":"alice@example.com","role":"creator","name":null,"new":{"a":[1]}}`}
	got, err := server.api(t).Me(t.Context(), secret.New(someJWT))
	want := bridge.Account{Username: "alice@example.com", Email: "alice@example.com", Role: bridge.RoleCreator}
	if err != nil || got != want {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if got := server.seen.Header.Get("Authorization"); got != "Bearer "+someJWT {
		t.Error("the session was not sent as it is")
	}
}
