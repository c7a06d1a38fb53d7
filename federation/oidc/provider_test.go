package oidc_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge/clocktest"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest/idp"
	"github.com/abilityai/trinity-bridge/federation"
	"github.com/abilityai/trinity-bridge/federation/oidc"
)

const callback = "https://connect.example.com/signin/company/callback"

func trip() federation.Trip {
	return federation.Trip{
		State: secret.New("flow.state-of-this-trip"), Nonce: secret.New("nonce-of-this-trip"),
		Verifier: secret.New("verifier-of-this-trip-0123456789-0123456789-0123456789"),
	}
}

// now is when the tests begin; what they say of times is seen from there.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// bench is a provider and a relying party of it, by one clock.
type bench struct {
	*testing.T
	clock  *clocktest.Clock
	server *idp.Server
	party  *oidc.Provider
}

func newBench(t *testing.T, slash string, edits ...func(*oidc.Options)) *bench {
	t.Helper()
	clock := clocktest.At(now)
	server := idp.Start(t, slash, clock.Now)
	server.Add(idp.Person{
		Subject: "u1", Claims: map[string]any{"email": "alice@example.com", "email_verified": true},
		Userinfo: map[string]any{"groups": []string{"staff"}, "email": "another@example.com"},
	})
	options := oidc.Options{
		Issuer: server.Issuer, ClientID: idp.ClientID, Auth: oidc.AuthBasic, Secret: secret.New(idp.ClientSecret), Callback: callback,
		Scopes: []string{"profile", "email"}, Now: clock.Now,
	}
	for _, edit := range edits {
		edit(&options)
	}
	party, err := oidc.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t, clock, server, party}
}

// walk goes away and comes back; edit changes what the browser brings.
func (b *bench) walk(edits ...func(url.Values)) (federation.Identity, error) {
	b.Helper()
	address, err := b.party.Depart(b.Context(), trip())
	if err != nil {
		return federation.Identity{}, err
	}
	answer := b.server.Approve(b, address, "u1").Query()
	for _, edit := range edits {
		edit(answer)
	}
	return b.party.Return(b.Context(), trip(), answer)
}

// FB-27, GW-56: what the browser is sent away with.
func TestProvider_Depart_FB27(t *testing.T) {
	t.Parallel()
	b := newBench(t, "/", func(o *oidc.Options) { o.Parameters = url.Values{"prompt": {"select_account"}} })
	way := trip()
	way.Hint = "alice@example.com"
	address, err := b.party.Depart(t.Context(), way)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := at.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": idp.ClientID, "redirect_uri": callback, "scope": "openid profile email",
		"state": way.State.Reveal(), "nonce": way.Nonce.Reveal(), "code_challenge_method": "S256", "login_hint": "alice@example.com", "prompt": "select_account",
	} {
		if len(q[name]) != 1 || q.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, q[name], want)
		}
	}
	if len(q.Get("code_challenge")) != 43 || q.Has("response_mode") || strings.Contains(address, way.Verifier.Reveal()) {
		t.Errorf("the address is %s", address)
	}
}

// A person comes back with the claims of both, the signed ones first; with each algorithm, way to
// authenticate and form of issuer.
func TestProvider_Return(t *testing.T) {
	t.Parallel()
	key := func(generate func() (crypto.Signer, error)) func(*oidc.Options) {
		return func(o *oidc.Options) {
			signer, err := generate()
			if err != nil {
				t.Fatal(err)
			}
			o.Auth, o.Key, o.KeyID = oidc.AuthKey, signer, "ours"
		}
	}
	for name, tt := range map[string]struct {
		slash     string
		algorithm jose.SignatureAlgorithm
		edit      func(*oidc.Options)
	}{
		"RS256, basic":                 {"", jose.RS256, func(*oidc.Options) {}},
		"ES256, post, issuer with /":   {"/", jose.ES256, func(o *oidc.Options) { o.Auth = oidc.AuthPost }},
		"EdDSA":                        {"/", jose.EdDSA, func(*oidc.Options) {}},
		"private_key_jwt with P-256":   {"", jose.RS256, key(func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })},
		"private_key_jwt with RSA":     {"", jose.RS256, key(func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) })},
		"private_key_jwt with Ed25519": {"", jose.RS256, key(func() (crypto.Signer, error) { _, k, err := ed25519.GenerateKey(rand.Reader); return k, err })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, tt.slash, tt.edit)
			b.server.Sign(tt.algorithm)
			got, err := b.walk()
			if err != nil {
				t.Fatal(err)
			}
			if got.Issuer != b.server.Issuer || got.Subject != "u1" || got.SID != "sid-u1" || got.Refresh.IsZero() || got.IDToken.IsZero() {
				t.Errorf("got %+v", got)
			}
			if got.Claims.Text("email") != "alice@example.com" || got.Claims["groups"] == nil {
				t.Errorf("claims %v", got.Claims)
			}
			wantProof(t, b)
		})
	}
}

// wantProof checks how the bridge proved itself at the token endpoint: in one way, and not in clear
// where it has a key.
func wantProof(t *testing.T, b *bench) {
	t.Helper()
	asked := b.server.Last("/token")
	id, word, basic := asked.BasicAuth()
	id, _ = url.QueryUnescape(id)
	word, _ = url.QueryUnescape(word)
	posted, assertion := asked.PostForm.Get("client_secret"), asked.PostForm.Get("client_assertion")
	switch b.party.Auth {
	case oidc.AuthBasic:
		if id != idp.ClientID || word != idp.ClientSecret || posted != "" || assertion != "" {
			t.Errorf("basic: %q, %q, posted %q", id, word, posted)
		}
	case oidc.AuthPost:
		if basic || posted != idp.ClientSecret || assertion != "" {
			t.Errorf("post: basic %v, posted %q", basic, posted)
		}
	default:
		signed, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA})
		if err != nil || basic || posted != "" || asked.PostForm.Get("client_id") != idp.ClientID {
			t.Fatalf("assertion %q: %v", assertion, err)
		}
		payload, err := signed.Verify(b.party.Key.Public())
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatal(err)
		}
		if claims["iss"] != idp.ClientID || claims["sub"] != idp.ClientID || claims["aud"] != strings.TrimSuffix(b.server.Issuer, "/")+"/token" || claims["jti"] == "" {
			t.Errorf("claims of the assertion: %v", claims)
		}
	}
}

// A refreshed session says what the claims are now; one that is over says so.
func TestProvider_Renew_FB30(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*oidc.Options){
		"secret": func(*oidc.Options) {},
		"key": func(o *oidc.Options) {
			_, key, _ := ed25519.GenerateKey(rand.Reader)
			o.Auth, o.Key = oidc.AuthKey, key
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "/", edit)
			first, err := b.walk()
			if err != nil {
				t.Fatal(err)
			}
			b.server.Add(idp.Person{Subject: "u1", Claims: map[string]any{"groups": []string{"left"}}})
			second, err := b.party.Renew(t.Context(), first.Refresh, first.Issuer, first.Subject)
			if err != nil {
				t.Fatal(err)
			}
			if second.Refresh == first.Refresh || second.Refresh.IsZero() || second.Claims.Text("email") != "" {
				t.Errorf("renewed to %+v", second)
			}
			wantProof(t, b)
			if _, err := b.party.Renew(t.Context(), second.Refresh, first.Issuer, "u2"); !errors.Is(err, federation.ErrRefused) {
				t.Errorf("another person's session: %v", err)
			}
			b.server.Hook(idp.Hooks{Token: func(answer map[string]any) { delete(answer, "id_token") }})
			third, err := b.walk()
			if !errors.Is(err, federation.ErrRefused) {
				t.Errorf("FB-15: without an ID token a person came in: %+v, %v", third, err)
			}
			b.server.Forget()
			if _, err := b.party.Renew(t.Context(), second.Refresh, first.Issuer, first.Subject); !errors.Is(err, federation.ErrOver) {
				t.Errorf("a session that is over: %v", err)
			}
		})
	}
}

// Keys that the provider has rotated are fetched by themselves, and nothing is fetched twice for one
// answer.
func TestProvider_keysRotate(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	if _, err := b.walk(); err != nil {
		t.Fatal(err)
	}
	b.server.Rotate()
	if _, err := b.walk(); err != nil {
		t.Fatal(err)
	}
	if n := b.server.Asked("/keys"); n != 2 {
		t.Errorf("the keys were asked for %d times", n)
	}
	if n := b.server.Asked("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the description was asked for %d times", n)
	}
}

// A provider with several tenants: each has an issuer of its own, and only those listed may come.
func TestProvider_tenants_FB11(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, tid, iss any) (*bench, federation.Identity, error) {
		t.Helper()
		b := newBench(t, "/", func(o *oidc.Options) {
			o.Issuer += "{tenantid}/v2.0"
			o.Tenants = []string{"tenant-1", "tenant-2"}
		})
		template := b.server.Issuer + "{tenantid}/v2.0"
		b.server.Hook(idp.Hooks{
			Intercept: nil,
			Discovery: func(d map[string]any) {
				d["issuer"] = template
				delete(d, "authorization_response_iss_parameter_supported")
			},
			Claims: func(c map[string]any) {
				c["tid"] = tid
				c["iss"] = iss
				if iss == nil {
					c["iss"] = strings.ReplaceAll(template, "{tenantid}", "tenant-2")
				}
				if tid == nil {
					delete(c, "tid")
				}
			},
		})
		identity, err := b.walk(func(answer url.Values) { answer.Del("iss") })
		return b, identity, err
	}
	b, identity, err := start(t, "tenant-2", nil)
	if err != nil || identity.Issuer != b.server.Issuer+"tenant-2/v2.0" {
		t.Errorf("a listed tenant: %+v, %v", identity, err)
	}
	for name, tt := range map[string][2]any{
		"another tenant's id":  {"tenant-1", nil},
		"no tenant":            {nil, nil},
		"a tenant not listed":  {"tenant-3", "https://login.example.com/tenant-3/v2.0"},
		"the template":         {"{tenantid}", "{tenantid}"},
		"everybody's endpoint": {"organizations", "organizations"},
	} {
		if _, _, err := start(t, tt[0], tt[1]); !errors.Is(err, federation.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A provider that is down when the bridge starts, or later, is asked again when somebody goes there.
func TestProvider_downAtFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	b.server.Hook(idp.Hooks{Intercept: refuseAll})
	if _, err := b.walk(); !errors.Is(err, federation.ErrUnavailable) {
		t.Fatalf("while it is down: %v", err)
	}
	b.server.Hook(idp.Hooks{})
	if _, err := b.walk(); err != nil {
		t.Fatal(err)
	}
	// An hour later it is down again for the description alone: the old one stays.
	b.clock.Advance(2 * time.Hour)
	b.server.Hook(idp.Hooks{Intercept: only("/.well-known/openid-configuration", refuseAll)})
	if _, err := b.walk(); err != nil {
		t.Errorf("with an old description: %v", err)
	}
}

// FB-26: a description that leads elsewhere is not followed, at first or later.
func TestProvider_pinned_FB26(t *testing.T) {
	t.Parallel()
	elsewhere := idp.Start(t, "", time.Now)
	var log bytes.Buffer
	b := newBench(t, "", func(o *oidc.Options) { o.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	for name, change := range map[string]func(map[string]any){
		"issuer":         func(d map[string]any) { d["issuer"] = elsewhere.Issuer },
		"issuer slash":   func(d map[string]any) { d["issuer"] = b.server.Issuer + "/" },
		"token endpoint": func(d map[string]any) { d["token_endpoint"] = elsewhere.Issuer + "/token" },
		"keys":           func(d map[string]any) { d["jwks_uri"] = elsewhere.Issuer + "/keys" },
		"userinfo":       func(d map[string]any) { d["userinfo_endpoint"] = elsewhere.Issuer + "/userinfo" },
		"page":           func(d map[string]any) { d["authorization_endpoint"] = elsewhere.Issuer + "/authorize" },
		"no page":        func(d map[string]any) { delete(d, "authorization_endpoint") },
		"user in front": func(d map[string]any) {
			d["token_endpoint"] = strings.Replace(b.server.Issuer, "://", "://a@", 1) + "/token"
		},
	} {
		b.server.Hook(idp.Hooks{Discovery: change})
		if _, err := b.party.Depart(t.Context(), trip()); !errors.Is(err, federation.ErrUnavailable) {
			t.Errorf("%s at first: %v", name, err)
		}
	}
	b.server.Hook(idp.Hooks{})
	if _, err := b.walk(); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(2 * time.Hour)
	b.server.Hook(idp.Hooks{Discovery: func(d map[string]any) { d["token_endpoint"] = elsewhere.Issuer + "/token" }})
	if _, err := b.walk(); err != nil {
		t.Errorf("the old description is not in force: %v", err)
	}
	if !strings.Contains(log.String(), `"level":"ERROR"`) || !strings.Contains(log.String(), "the old one stays in force") {
		t.Errorf("nobody is told: %s", log.String())
	}
	for _, path := range []string{"/token", "/keys", "/userinfo", "/authorize", "/.well-known/openid-configuration"} {
		if n := elsewhere.Asked(path); n != 0 {
			t.Errorf("%s of another host was asked %d times", path, n)
		}
	}
}

func deadline(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
