package trinitytest_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

const interactiveOnly = "This operation requires an interactive session; MCP API keys cannot perform it"

func TestCreateKey(t *testing.T) {
	t.Parallel()
	t.Run("3.1/format", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		a := y.api("POST", "/api/mcp/keys", y.signIn(alice), `{"name":"claude-connector:x","description":"why"}`)
		a.want(t, 200)
		key := a.member(t, "api_key")
		if !regexp.MustCompile(`^trinity_mcp_[A-Za-z0-9_-]{43}$`).MatchString(key) || len(key) != 55 {
			t.Errorf("key of %d characters has the wrong form", len(key))
		}
		if a.member(t, "key_prefix") != key[:20] {
			t.Errorf("prefix %q", a.member(t, "key_prefix"))
		}
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`).MatchString(a.member(t, "id")) {
			t.Errorf("id %q", a.member(t, "id"))
		}
		got := a.decode(t)
		for _, secret := range []string{"id", "key_prefix", "api_key"} {
			delete(got, secret)
		}
		want := map[string]any{
			"name": "claude-connector:x", "description": "why", "created_at": "2026-11-23T09:00:00Z", "last_used_at": nil,
			"usage_count": 0.0, "is_active": true, "user_id": 1.0, "username": alice, "user_email": alice, "agent_name": nil, "scope": "user",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	tests := []struct {
		name   string
		who    func(*trinity) string
		body   string
		status int
	}{
		{"3.2/nobody", func(*trinity) string { return "" }, `{"name":"k"}`, 401},
		{"3.2/no name", signedIn(alice), `{}`, 422},
		{"3.2/not JSON", signedIn(alice), `{`, 422},
		{"3.2/unsupported scope", signedIn(admin), `{"name":"k","scope":"root"}`, 400},
		{"3.3/agent scope", signedIn(admin), `{"name":"k","scope":"agent"}`, 400},
		{"3.3/connector scope", signedIn(admin), `{"name":"k","scope":"connector"}`, 400},
		{"3.3/system scope", signedIn(admin), `{"name":"k","scope":"system"}`, 400},
		{"3.3/ops by a user", signedIn(alice), `{"name":"k","scope":"ops"}`, 403},
		{"3.3/ops by the admin", signedIn(admin), `{"name":"k","scope":"ops"}`, 200},
		{"3.3/delegate by the admin", signedIn(admin), `{"name":"k","scope":"portal_delegate"}`, 200},
		{"3.3/delegate by the admin's key", holding(admin, "user"), `{"name":"k","scope":"portal_delegate"}`, 403},
		{"3.3/user by a user key", holding(alice, "user"), `{"name":"k"}`, 200},
		{"3.4/user by a connector key", holding(alice, "connector"), `{"name":"k"}`, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			y := start(t)
			y.api("POST", "/api/mcp/keys", tt.who(y), tt.body).want(t, tt.status)
		})
	}
	t.Run("3.3/JWT only", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.MintNeedsJWT = true }))
		key := y.key(alice, "k", "user", "")
		y.api("POST", "/api/mcp/keys", key, `{"name":"k2"}`).wantDetail(t, 403, interactiveOnly)
		y.api("POST", "/api/mcp/keys/ensure-default", key, "").wantDetail(t, 403, interactiveOnly)
		y.mint(y.signIn(alice), "k2")
	})
	t.Run("3.2/ensure-default", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		jwt := y.signIn(alice)
		y.api("POST", "/api/mcp/keys/ensure-default", jwt, "").member(t, "api_key")
		y.api("POST", "/api/mcp/keys/ensure-default", jwt, "").wantBody(t, 200, "null")
	})
}

func signedIn(email string) func(*trinity) string {
	return func(y *trinity) string { return y.signIn(email) }
}

func holding(owner, scope string) func(*trinity) string {
	return func(y *trinity) string { return y.key(owner, "held", scope, "worker") }
}

func TestListKeys(t *testing.T) {
	t.Parallel()
	names := func(t *testing.T, a answer) []string {
		t.Helper()
		a.want(t, 200)
		if strings.Contains(a.body, "api_key") {
			t.Errorf("a list shows keys: %s", a.body)
		}
		var rows []struct {
			Name string `json:"name"`
		}
		if err := json.Unmarshal([]byte(a.body), &rows); err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, r := range rows {
			names = append(names, r.Name)
		}
		return names
	}
	t.Run("3.2/own keys, and everybody's for an admin", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		id, _ := y.mint(y.signIn(alice), "a")
		y.key(bob, "b", "user", "")
		for who, want := range map[string][]string{alice: {"a"}, bob: {"b"}, admin: {"a", "b"}} {
			if diff := cmp.Diff(want, names(t, y.api("GET", "/api/mcp/keys", y.signIn(who), ""))); diff != "" {
				t.Errorf("%s: %s", who, diff)
			}
		}
		y.api("GET", "/api/mcp/keys", "", "").want(t, 401)
		y.api("GET", "/api/mcp/keys/"+id, y.signIn(alice), "").want(t, 200)
		for _, who := range []string{bob, admin} {
			y.api("GET", "/api/mcp/keys/"+id, y.signIn(who), "").want(t, 404)
		}
	})
	t.Run("3.2/none", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		y.api("GET", "/api/mcp/keys", y.signIn(alice), "").wantBody(t, 200, "[]")
	})
}

func TestEndKey(t *testing.T) {
	t.Parallel()
	t.Run("3.2/revoke keeps the row, delete does not", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		jwt := y.signIn(alice)
		id, key := y.mint(jwt, "a")
		y.api("POST", "/api/mcp/keys/"+id+"/revoke", jwt, "").member(t, "message")
		if row := y.api("GET", "/api/mcp/keys/"+id, jwt, ""); row.decode(t)["is_active"] != false {
			t.Errorf("row %s", row.body)
		}
		y.api("GET", "/api/users/me", key, "").want(t, 401)
		y.api("POST", "/api/mcp/keys/"+id+"/revoke", jwt, "").want(t, 200)
		y.api("DELETE", "/api/mcp/keys/"+id, jwt, "").member(t, "message")
		y.api("DELETE", "/api/mcp/keys/"+id, jwt, "").want(t, 404)
		y.api("POST", "/api/mcp/keys/"+id+"/revoke", jwt, "").want(t, 404)
		if keys := y.Keys(); len(keys) != 0 {
			t.Errorf("keys %v", keys)
		}
	})
	t.Run("3.2/a key may end itself", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		id, key := y.mint(y.signIn(alice), "a")
		y.api("POST", "/api/mcp/keys/"+id+"/revoke", key, "").want(t, 200)
		y.api("POST", "/api/mcp/keys/"+id+"/revoke", key, "").want(t, 401)
		if got := y.Keys(); len(got) != 1 || got[0].Active {
			t.Errorf("keys %v", got)
		}
	})
	t.Run("3.2/refusals", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		id, key := y.mint(y.signIn(alice), "a")
		for _, call := range [][2]string{{"POST", "/revoke"}, {"DELETE", ""}} {
			path := "/api/mcp/keys/" + id + call[1]
			y.api(call[0], path, y.signIn(bob), "").want(t, 404)
			y.api(call[0], path, y.key(alice, "k", "agent", "worker"), "").want(t, 403)
			y.api(call[0], path, y.key(alice, "k", "connector", "worker"), "").want(t, 403)
			y.api(call[0], path, "", "").want(t, 401)
			y.clock.Advance(10 * time.Minute) // so that bob may have more codes
		}
		y.Set(func(s *trinitytest.Switches) { s.RevokeNeedsJWT = true })
		y.api("POST", "/api/mcp/keys/"+id+"/revoke", key, "").wantDetail(t, 403, interactiveOnly)
		y.api("DELETE", "/api/mcp/keys/"+id, key, "").wantDetail(t, 403, interactiveOnly)
		y.api("DELETE", "/api/mcp/keys/"+id, y.signIn(alice), "").want(t, 200)
	})
}

func TestValidateKey(t *testing.T) {
	t.Parallel()
	validate := func(y *trinity, authorization string) answer {
		return y.send("POST", y.BackendURL()+"/api/mcp/validate", header{"Authorization", authorization}, "")
	}
	t.Run("3.2/outcomes", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		jwt := y.signIn(alice)
		id, key := y.mint(jwt, "a")
		valid := `{"valid":true,"key_id":"` + id + `","user_id":"alice@example.com","user_email":"alice@example.com","key_name":"a","agent_name":null,"scope":"user"}`
		validate(y, "Bearer "+key).wantBody(t, 200, valid)
		validate(y, "Bearer "+y.key(bob, "w", "agent", "worker")).want(t, 200)
		for _, bad := range []string{jwt, "trinity_mcp_nope", key + "x"} {
			validate(y, "Bearer "+bad).wantDetail(t, 401, "Invalid or inactive API key")
		}
		for _, bad := range []string{"bearer " + key, "Basic eDp5", key} {
			validate(y, bad).wantDetail(t, 401, "Missing or invalid Authorization header")
		}
		y.send("POST", y.BackendURL()+"/api/mcp/validate", nil, "").wantDetail(t, 401, "Missing or invalid Authorization header")
		if row := y.api("GET", "/api/mcp/keys/"+id, jwt, ""); row.decode(t)["usage_count"] != 1.0 || row.member(t, "last_used_at") == "" {
			t.Errorf("a validation is not counted: %s", row.body)
		}
	})
	t.Run("3.4/blind to suspension", func(t *testing.T) {
		t.Parallel()
		y := start(t)
		key := y.key(alice, "k", "user", "")
		if err := y.Suspend(alice, true); err != nil {
			t.Fatal(err)
		}
		validate(y, "Bearer "+key).want(t, 200)
		y.api("GET", "/api/users/me", key, "").want(t, 401)
	})
	t.Run("3.2/no key_id in the old version", func(t *testing.T) {
		t.Parallel()
		y := start(t, with(func(s *trinitytest.Switches) { s.ValidateWithoutKeyID = true }))
		a := validate(y, "Bearer "+y.key(alice, "k", "user", ""))
		if _, there := a.decode(t)["key_id"]; there {
			t.Errorf("body %s", a.body)
		}
	})
}
