package oidc_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest/idp"
	"github.com/abilityai/trinity-bridge/federation"
	"github.com/abilityai/trinity-bridge/federation/oidc"
)

func refuseAll(w http.ResponseWriter, _ *http.Request) bool {
	w.WriteHeader(http.StatusInternalServerError)
	return true
}

// only intercepts one path.
func only(path string, intercept func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool { return r.URL.Path == path && intercept(w, r) }
}

func set(name string, value any) idp.Hooks {
	return idp.Hooks{Claims: func(c map[string]any) {
		if value == nil {
			delete(c, name)
			return
		}
		c[name] = value
	}}
}

// FB-08…FB-16, FB-25: an ID token that is not good signs nobody in.
func TestProvider_idToken(t *testing.T) {
	t.Parallel()
	for name, hooks := range map[string]idp.Hooks{
		"FB-11/another issuer":              set("iss", "https://login.example.com"),
		"FB-11/no issuer":                   set("iss", nil),
		"FB-12/another audience":            set("aud", "another"),
		"FB-12/one more audience":           set("aud", []string{idp.ClientID, "another"}),
		"FB-12/no audience":                 set("aud", nil),
		"FB-12/an empty audience":           set("aud", []string{}),
		"FB-12/another authorized party":    set("azp", "another"),
		"FB-13/another nonce":               set("nonce", "another"),
		"FB-13/no nonce":                    set("nonce", nil),
		"FB-13/an empty nonce":              set("nonce", ""),
		"FB-14/expired":                     set("exp", now.Add(-61*time.Second).Unix()),
		"FB-14/no expiry":                   set("exp", nil),
		"FB-14/expiry as text":              set("exp", "9999999999"),
		"FB-14/expiry with a fraction":      set("exp", float64(now.Add(time.Hour).Unix())+0.5),
		"FB-14/expiry of 2^63":              set("exp", math.Pow(2, 63)),
		"FB-14/expiry of null":              {Claims: func(c map[string]any) { c["exp"] = nil }},
		"FB-14/good for ever":               set("exp", now.Add(20*365*24*time.Hour).Unix()),
		"FB-14/issued in the future":        set("iat", now.Add(61*time.Second).Unix()),
		"FB-14/no issue":                    set("iat", nil),
		"FB-14/not yet":                     set("nbf", now.Add(61*time.Second).Unix()),
		"FB-15/none":                        {Token: func(a map[string]any) { delete(a, "id_token") }},
		"FB-15/of another form":             {Token: func(a map[string]any) { a["id_token"] = map[string]any{"a": 1} }},
		"FB-16/userinfo of somebody else":   {Userinfo: func(a map[string]any) { a["sub"] = "u2" }},
		"FB-16/userinfo of nobody":          {Userinfo: func(a map[string]any) { delete(a, "sub") }},
		"FB-22/too large":                   set("groups", strings.Repeat("x", 17<<10)),
		"FB-25/nested too deep":             set("deep", json.RawMessage(strings.Repeat(`{"a":`, 40)+"1"+strings.Repeat("}", 40))),
		"FB-25/userinfo nested too deep":    {Userinfo: func(a map[string]any) { a["deep"] = json.RawMessage(strings.Repeat(`[`, 40) + strings.Repeat("]", 40)) }},
		"FB-25/a million dots":              {Token: func(a map[string]any) { a["id_token"] = strings.Repeat(".", 200_000) }},
		"FB-25/an encrypted token":          {Token: func(a map[string]any) { a["id_token"] = "a.b.c.d.e" }},
		"FB-25/JSON serialization":          {Token: func(a map[string]any) { a["id_token"] = `{"payload":"e30","signatures":[]}` }},
		"I12/no subject":                    set("sub", nil),
		"I12/an empty subject":              set("sub", ""),
		"I12/a subject of another form":     set("sub", 7),
		"OIDC Core 2/a subject too long":    set("sub", strings.Repeat("s", 256)),
		"OIDC Core 3.1.3.8/another at_hash": set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
		"FB-08/signed by somebody else":     {Keys: func(k *jose.JSONWebKeySet) { k.Keys = nil }},
		"FB-08/a duplicate member":          {Claims: func(c map[string]any) { delete(c, "sub"); c["more"] = json.RawMessage(`{"sub":"u1","sub":"u2"}`) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "/")
			b.server.Hook(hooks)
			identity, err := b.walk()
			if !errors.Is(err, federation.ErrRefused) && !errors.Is(err, federation.ErrUnavailable) {
				t.Errorf("signed in as %+v, %v", identity, err)
			}
		})
	}
}

// FB-12: an audience that the operator trusts is good beside ours alone, and only when the token says that we are the one
// who asked.
func TestProvider_FB12_trustedAudience(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(claims map[string]any){
		"no authorized party":              func(c map[string]any) { c["aud"] = []string{idp.ClientID, "trusted"} },
		"another authorized party":         func(c map[string]any) { c["aud"], c["azp"] = []string{idp.ClientID, "trusted"}, "trusted" },
		"an authorized party of no text":   func(c map[string]any) { c["aud"], c["azp"] = []string{idp.ClientID, "trusted"}, []string{idp.ClientID} },
		"the trusted one alone":            func(c map[string]any) { c["aud"], c["azp"] = "trusted", idp.ClientID },
		"one that is not trusted, as well": func(c map[string]any) { c["aud"], c["azp"] = []string{idp.ClientID, "trusted", "x"}, idp.ClientID },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "", func(o *oidc.Options) { o.Audiences = []string{"trusted"} })
			b.server.Hook(idp.Hooks{Claims: edit})
			if identity, err := b.walk(); !errors.Is(err, federation.ErrRefused) {
				t.Errorf("signed in as %+v, %v", identity, err)
			}
		})
	}
}

// What is within the leeway, or has more in it than needed, is good.
func TestProvider_idTokenGood(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		hooks idp.Hooks
		edit  func(*oidc.Options)
	}{
		"a clock that is behind": {set("iat", now.Add(25*time.Second).Unix()), func(*oidc.Options) {}},
		"a clock that is ahead":  {set("exp", now.Add(-20*time.Second).Unix()), func(*oidc.Options) {}},
		"a list of one audience": {set("aud", []string{idp.ClientID}), func(*oidc.Options) {}},
		"FB-12/an audience the operator trusts": {
			idp.Hooks{Claims: func(c map[string]any) { c["aud"], c["azp"] = []string{idp.ClientID, "trusted"}, idp.ClientID }},
			func(o *oidc.Options) { o.Audiences = []string{"trusted"} },
		},
		"no userinfo endpoint": {idp.Hooks{Discovery: func(d map[string]any) { delete(d, "userinfo_endpoint") }}, func(*oidc.Options) {}},
		"userinfo switched off": {
			idp.Hooks{Intercept: only("/userinfo", refuseAll)}, func(o *oidc.Options) { o.NoUserinfo = true },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "/", tt.edit)
			b.server.Hook(tt.hooks)
			if _, err := b.walk(); err != nil {
				t.Error(err)
			}
		})
	}
}

// FB-08, FB-10: how a token may not be signed, and what in its header leads nowhere.
func TestProvider_signature(t *testing.T) {
	t.Parallel()
	elsewhere := idp.Start(t, "", time.Now)
	hmac := func(key []byte) func([]byte) (string, error) {
		return func(payload []byte) (string, error) {
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key}, nil)
			if err != nil {
				return "", err
			}
			object, err := signer.Sign(payload)
			if err != nil {
				return "", err
			}
			return object.CompactSerialize()
		}
	}
	for name, sign := range map[string]func(b *bench) func([]byte) (string, error){
		"FB-08/HS256 with our secret": func(*bench) func([]byte) (string, error) { return hmac([]byte(idp.ClientSecret)) },
		"FB-08/HS256 with the public key": func(b *bench) func([]byte) (string, error) {
			key, _ := json.Marshal(b.server.PublicKeys().Keys[0])
			return hmac(key)
		},
		"FB-08/none": func(*bench) func([]byte) (string, error) {
			return func(payload []byte) (string, error) {
				return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString(payload) + ".", nil
			}
		},
		"FB-10/another's keys in the header": func(b *bench) func([]byte) (string, error) {
			key := elsewhere.PublicKeys().Keys[0]
			return func(payload []byte) (string, error) {
				return elsewhere.Compact(payload, map[string]any{"jku": elsewhere.Issuer + "/keys", "x5u": elsewhere.Issuer + "/keys", "jwk": key})
			}
		},
		"FB-10/a critical header": func(b *bench) func([]byte) (string, error) {
			return func(payload []byte) (string, error) {
				return b.server.Compact(payload, map[string]any{"crit": []string{"exp"}, "exp": 1})
			}
		},
		"FB-08/an algorithm the operator did not name": func(b *bench) func([]byte) (string, error) {
			b.server.Sign(jose.EdDSA)
			return func(payload []byte) (string, error) { return b.server.Compact(payload, nil) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "", func(o *oidc.Options) {
				if strings.Contains(name, "did not name") {
					o.Algorithms = []string{"RS256", "ES256"}
				}
			})
			b.server.Hook(idp.Hooks{Sign: sign(b)})
			if identity, err := b.walk(); !errors.Is(err, federation.ErrRefused) {
				t.Errorf("signed in as %+v, %v", identity, err)
			}
			if n := elsewhere.Asked("/keys"); n != 0 {
				t.Errorf("keys named in a header were fetched")
			}
		})
	}
}

// FB-06: an answer has to be this provider's, and say so where the provider promises to.
func TestProvider_answer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		edit   func(url.Values)
		denied bool
	}{
		"FB-06/another issuer":      {func(a url.Values) { a.Set("iss", "https://login.example.com") }, false},
		"FB-06/no issuer":           {func(a url.Values) { a.Del("iss") }, false},
		"FB-06/two issuers":         {func(a url.Values) { a.Add("iss", a.Get("iss")) }, false},
		"FB-11/without the slash":   {func(a url.Values) { a.Set("iss", strings.TrimSuffix(a.Get("iss"), "/")) }, false},
		"no code":                   {func(a url.Values) { a.Del("code") }, false},
		"two codes":                 {func(a url.Values) { a.Add("code", "x") }, false},
		"an endless code":           {func(a url.Values) { a.Set("code", strings.Repeat("x", 5<<10)) }, false},
		"FB-23/an error":            {func(a url.Values) { a.Set("error", "access_denied") }, true},
		"FB-06/an error of another": {func(a url.Values) { a.Set("error", "access_denied"); a.Set("iss", "https://login.example.com") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "/")
			_, err := b.walk(tt.edit)
			var denied *federation.DeniedError
			if errors.As(err, &denied) != tt.denied || !tt.denied && !errors.Is(err, federation.ErrRefused) {
				t.Errorf("got %v", err)
			}
			if n := b.server.Asked("/token"); n != 0 {
				t.Errorf("the token endpoint was asked %d times", n)
			}
		})
	}
}

// FB-28, FB-25: endpoints that answer what they should not.
func TestProvider_endpoints_FB28(t *testing.T) {
	t.Parallel()
	elsewhere := idp.Start(t, "", time.Now)
	answers := map[string]func(http.ResponseWriter, *http.Request) bool{
		"500": refuseAll,
		"HTML with 200": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<script>alert(1)</script>"))
			return true
		},
		"form with 200": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
			_, _ = w.Write([]byte("access_token=a&token_type=bearer"))
			return true
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, elsewhere.Issuer+r.URL.Path, http.StatusTemporaryRedirect)
			return true
		},
		"too much": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(append([]byte(`{"a":"`), bytes.Repeat([]byte("x"), 300<<10)...))
			return true
		},
		"a compressed bomb": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(bytes.Repeat([]byte(" "), 10<<20))
			_ = z.Close()
			return true
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"a":`))
			return true
		},
		"an empty object": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{}`))
			return true
		},
	}
	for name, answer := range answers {
		for _, path := range []string{"/.well-known/openid-configuration", "/token", "/keys", "/userinfo"} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, "")
				b.server.Hook(idp.Hooks{Intercept: only(path, answer)})
				identity, err := b.walk()
				if !errors.Is(err, federation.ErrRefused) && !errors.Is(err, federation.ErrUnavailable) {
					t.Errorf("signed in as %+v, %v", identity, err)
				}
				if n := elsewhere.Asked(path); n != 0 {
					t.Error("a redirect was followed")
				}
				b.server.Hook(idp.Hooks{})
				if _, err := b.walk(); err != nil {
					t.Errorf("after it was well again: %v", err)
				}
			})
		}
	}
}

// An endpoint that hangs or drips ends with the caller's patience, and no later.
func TestProvider_slow(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"hangs": func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true },
		"drips": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				_ = http.NewResponseController(w).Flush()
				time.Sleep(20 * time.Millisecond)
			}
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "")
			b.server.Hook(idp.Hooks{Intercept: wait})
			if _, err := b.party.Depart(deadline(t, 200*time.Millisecond), trip()); !errors.Is(err, federation.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A provider that refuses a code says that it is over; one that refuses us is not to be believed.
func TestProvider_tokenErrors(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{
		"invalid_grant": federation.ErrOver, "invalid_client": federation.ErrRefused, "temporarily_unavailable": federation.ErrUnavailable,
		"": federation.ErrUnavailable,
	} {
		b := newBench(t, "")
		b.server.Hook(idp.Hooks{Intercept: only("/token", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": "words\nof the provider"})
			return true
		})})
		_, err := b.walk()
		if !errors.Is(err, want) || strings.Contains(err.Error(), "words") {
			t.Errorf("%q: %v", code, err)
		}
	}
}
