package protocol_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

type claims = map[string]any

// signer is a client that signs its requests.
type signer struct {
	b    *bridgetest.Bridge
	id   string
	key  *bridgetest.Key
	jtis int
}

// assertion is a good one, with claims changed; a nil value takes one out.
func (s *signer) assertion(t *testing.T, change claims, header map[string]any) string {
	t.Helper()
	return s.key.Sign(t, s.claims(change), header)
}

func (s *signer) claims(change claims) claims {
	s.jtis++
	all := claims{
		"iss": s.id, "sub": s.id, "aud": s.b.URL, "jti": "jti-" + s.id + strconv.Itoa(s.jtis),
		"iat": s.b.Clock.Now().Unix(), "exp": s.b.Clock.Now().Add(time.Minute).Unix(),
	}
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

// form adds an assertion to a form.
func withAssertion(form url.Values, assertion string) url.Values {
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	return form
}

// probe is a request that ends with invalid_grant once the client is proven, and changes nothing.
func (s *signer) probe(t *testing.T, assertion string) bridgetest.Answer {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"tbr_unknown"}}
	return s.b.PostForm(t, "/oauth/token", withAssertion(form, assertion))
}

func keyDocument(id string, members bridgetest.Document, keys ...*bridgetest.Key) bridgetest.Document {
	d := bridgetest.NewDocument(id, bridgetest.Document{"token_endpoint_auth_method": "private_key_jwt", "jwks": bridgetest.JWKS(keys...)})
	maps.Copy(d, members)
	return d
}

// AS-010, AS-078, AS-114: each algorithm in the metadata works, for a whole flow.
func TestAssertion_AS078_AS114_flow(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			key := bridgetest.NewKey(t, algorithm)
			b := bridgetest.Start(t, bridgetest.WithPinned(t, keyDocument(documentID, nil, key)))
			s := &signer{b: b, id: documentID, key: key}
			client := describedClient(documentID)
			code := b.Code(t, client, alice)
			wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RedeemForm(client, code))) // AS-114, AS-081
			form := withAssertion(b.RedeemForm(client, code), s.assertion(t, nil, nil))
			tokens := b.Token(t, form)
			wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
			form = b.RefreshForm(client, tokens.Refresh)
			form.Del("client_id") // RFC 7521 §4.2: the assertion names the client
			tokens = b.Token(t, withAssertion(form, s.assertion(t, nil, map[string]any{"typ": "client-authentication+jwt"})))
			revoke := url.Values{"client_id": {documentID}, "token": {tokens.Refresh}}
			wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/revoke", revoke))
			if answer := b.PostForm(t, "/oauth/revoke", withAssertion(revoke, s.assertion(t, nil, nil))); answer.Status != http.StatusOK {
				t.Errorf("revoke: %d %s", answer.Status, answer.Body)
			}
			if b.Works(t, tokens.Access) != http.StatusUnauthorized {
				t.Error("the connection lives on")
			}
		})
	}
}

func TestAssertion_refuses(t *testing.T) {
	t.Parallel()
	key, other, weak := bridgetest.NewKey(t, "ES256"), bridgetest.NewKey(t, "ES256"), bridgetest.NewKey(t, "ES512")
	pinnedRSA := bridgetest.NewKey(t, "RS256")
	const rsaID, publicID = "https://describes.example.com/rsa.json", "https://describes.example.com/public.json"
	b := bridgetest.Start(t, bridgetest.WithPinned(t, keyDocument(documentID, nil, key),
		keyDocument(rsaID, bridgetest.Document{"token_endpoint_auth_signing_alg": "PS256"}, pinnedRSA), bridgetest.NewDocument(publicID, nil)),
		bridgetest.With(func(f *config.Flags) { f.TrustedProxies = "127.0.0.1" }))
	s := &signer{b: b, id: documentID, key: key}
	now := b.Clock.Now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	part := func(assertion string, n int, change func(string) string) string {
		parts := strings.Split(assertion, ".")
		parts[n] = change(parts[n])
		return strings.Join(parts, ".")
	}
	tests := []struct{ id, assertion string }{
		{"AS-079, TK-12/token endpoint as audience", s.assertion(t, claims{"aud": b.URL + "/oauth/token"}, nil)},
		{"AS-079/two audiences", s.assertion(t, claims{"aud": []string{b.URL, "https://other.example.com"}}, nil)},
		{"AS-079/issuer and token endpoint", s.assertion(t, claims{"aud": []string{b.URL, b.URL + "/oauth/token"}}, nil)},
		{"AS-079/no audience", s.assertion(t, claims{"aud": nil}, nil)},
		{"AS-079/empty audience", s.assertion(t, claims{"aud": []string{}}, nil)},
		{"AS-079/slash", s.assertion(t, claims{"aud": b.URL + "/"}, nil)},
		{"AS-079/resource as audience", s.assertion(t, claims{"aud": b.MCP}, nil)},
		{"AS-079/audience is a number", s.assertion(t, claims{"aud": 1}, nil)},
		{"AS-078/issuer", s.assertion(t, claims{"iss": publicID}, nil)},
		{"AS-078/no issuer", s.assertion(t, claims{"iss": nil}, nil)},
		{"AS-078/subject", s.assertion(t, claims{"sub": rsaID, "iss": rsaID}, nil)},
		{"AS-078/no subject", s.assertion(t, claims{"sub": nil}, nil)},
		{"AS-078/unknown client", s.assertion(t, claims{"sub": "nobody", "iss": "nobody"}, nil)},
		{"AS-078/expired", s.assertion(t, claims{"exp": at(-time.Second)}, nil)},
		{"AS-078/no expiry", s.assertion(t, claims{"exp": nil}, nil)},
		{"AS-078/expiry is text", s.assertion(t, claims{"exp": "9999999999"}, nil)},
		{"TK-12/six minutes", s.assertion(t, claims{"exp": at(6 * time.Minute)}, nil)},
		{"TK-12/a year", s.assertion(t, claims{"exp": at(365 * 24 * time.Hour)}, nil)},
		{"TK-12/for ever", s.assertion(t, claims{"exp": 1e300}, nil)},
		{"TK-12/before time began", s.assertion(t, claims{"exp": -1e300}, nil)},
		{"AS-078/not before", s.assertion(t, claims{"nbf": at(2 * time.Minute)}, nil)},
		{"AS-078/issued in the future", s.assertion(t, claims{"iat": at(2 * time.Minute)}, nil)},
		{"AS-078/no jti", s.assertion(t, claims{"jti": nil}, nil)},
		{"AS-078/empty jti", s.assertion(t, claims{"jti": ""}, nil)},
		{"AS-078/huge jti", s.assertion(t, claims{"jti": strings.Repeat("x", 300)}, nil)},
		{"AS-078/foreign key", other.Sign(t, s.claims(nil), nil)},
		{"AS-078/foreign key under our kid", bridgetest.SignWith(t, "ES256", bridgetest.Private(other), key.ID, s.claims(nil), nil)},
		{"AS-078/HS256 with the public key", bridgetest.SignWith(t, "HS256", []byte(strings.Repeat("k", 64)), key.ID, s.claims(nil), nil)},
		{"AS-078/ES512", weak.Sign(t, s.claims(nil), nil)},
		{"AS-078/alg none", "eyJhbGciOiJub25lIn0." + strings.Split(s.assertion(t, nil, nil), ".")[1] + "."},
		{"AS-078/another payload", part(s.assertion(t, nil, nil), 1, func(string) string { return strings.Split(s.assertion(t, claims{"iss": documentID}, nil), ".")[1] })},
		{"AS-078/cut signature", part(s.assertion(t, nil, nil), 2, func(p string) string { return p[:40] })},
		{"AS-078/no signature", part(s.assertion(t, nil, nil), 2, func(string) string { return "" })},
		{"AS-078/no JWT", "not-a-token"},
		{"AS-078/long", strings.Repeat("x", 9000)},
		{"AS-078/critical header", s.assertion(t, nil, map[string]any{"crit": []string{"x"}, "x": 1})},
		{"AS-079/access token", s.assertion(t, nil, map[string]any{"typ": "at+jwt"})},
		{"AS-081/a public client", other.Sign(t, (&signer{b: b, id: publicID}).claims(nil), nil)},
		{"RFC 8725/not the client's algorithm", pinnedRSA.Sign(t, (&signer{b: b, id: rsaID}).claims(nil), nil)},
	}
	for i, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"tbr_unknown"}}
			from := fmt.Sprintf("198.51.%d.7", i) // each from a network of its own: failures are counted
			wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", withAssertion(form, tt.assertion), "X-Forwarded-For", from))
		})
	}
	t.Run("one network is slowed down", func(t *testing.T) {
		t.Parallel()
		last := 0
		for range bridgetest.Times(25) {
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"tbr_unknown"}}
			last = b.PostForm(t, "/oauth/token", withAssertion(form, tests[0].assertion), "X-Forwarded-For", "203.0.113.7").Status
		}
		if last != http.StatusTooManyRequests {
			t.Errorf("after 25 failures: %d", last)
		}
	})
}

func TestAssertion_takes(t *testing.T) {
	t.Parallel()
	key, second, rsaKey := bridgetest.NewKey(t, "ES256"), bridgetest.NewKey(t, "EdDSA"), bridgetest.NewKey(t, "RS256")
	const bothID = "https://describes.example.com/both.json"
	b := bridgetest.Start(t, bridgetest.WithPinned(t, keyDocument(documentID, nil, second, key),
		keyDocument(bothID, bridgetest.Document{"token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}}, rsaKey)))
	s, both := &signer{b: b, id: documentID, key: key}, &signer{b: b, id: bothID, key: rsaKey}
	now := b.Clock.Now()
	for id, assertion := range map[string]string{
		"AS-079/no typ":                     s.assertion(t, nil, nil),
		"AS-079/typ JWT":                    s.assertion(t, nil, map[string]any{"typ": "JWT"}),
		"AS-079/typ":                        s.assertion(t, nil, map[string]any{"typ": "client-authentication+jwt"}),
		"AS-079/list of one":                s.assertion(t, claims{"aud": []string{b.URL}}, nil),
		"AS-078/five minutes":               s.assertion(t, claims{"exp": now.Add(5 * time.Minute).Unix()}, nil),
		"AS-078/fraction":                   s.assertion(t, claims{"exp": float64(now.Add(time.Minute).Unix()) + 0.5, "iat": float64(now.Unix()) + 0.25}, nil),
		"AS-078/no iat":                     s.assertion(t, claims{"iat": nil}, nil),
		"AS-078/clock a little fast":        s.assertion(t, claims{"iat": now.Add(20 * time.Second).Unix(), "nbf": now.Add(20 * time.Second).Unix()}, nil),
		"AS-078/no kid":                     bridgetest.SignWith(t, "ES256", bridgetest.Private(key), "", s.claims(nil), nil),
		"AS-078/the other key":              second.Sign(t, s.claims(nil), nil),
		"AS-078/more claims":                s.assertion(t, claims{"azp": "x", "scope": "y"}, nil),
		"B45/token endpoint, none is offer": both.assertion(t, claims{"aud": b.URL + "/oauth/token"}, map[string]any{"typ": "JWT"}),
		"B45/issuer, none is offered":       both.assertion(t, nil, nil),
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			wire{400, "invalid_grant"}.check(t, s.probe(t, assertion)) // proven, and the refresh token is dead
		})
	}
	t.Run("B44, AS-114/offering none does not make it public", func(t *testing.T) {
		t.Parallel()
		wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(describedClient(bothID), "tbr_x")))
		wire{401, "invalid_client"}.check(t, s.probe(t, both.assertion(t, claims{"aud": b.URL + "/token"}, nil)))
	})
}

// AS-078, TK-12: an assertion is good once, across endpoints and restarts, and a code survives a bad one.
func TestAssertion_TK12_replay(t *testing.T) {
	t.Parallel()
	key := bridgetest.NewKey(t, "ES256")
	b := bridgetest.Start(t, bridgetest.WithPinned(t, keyDocument(documentID, nil, key)))
	s := &signer{b: b, id: documentID, key: key}
	assertion := s.assertion(t, claims{"exp": b.Clock.Now().Add(4 * time.Minute).Unix()}, nil)
	wire{400, "invalid_grant"}.check(t, s.probe(t, assertion))
	wire{401, "invalid_client"}.check(t, s.probe(t, assertion))
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/revoke", withAssertion(url.Values{"token": {"x"}}, assertion)))
	b.Clock.Advance(3 * time.Minute)
	b.Restart(t)
	wire{401, "invalid_client"}.check(t, s.probe(t, assertion))
	same := s.claims(nil)
	same["jti"] = "the same"
	wire{400, "invalid_grant"}.check(t, s.probe(t, key.Sign(t, same, nil)))
	wire{401, "invalid_client"}.check(t, s.probe(t, key.Sign(t, same, map[string]any{"typ": "JWT"}))) // another token, the same jti

	client := describedClient(documentID)
	code := b.Code(t, client, alice)
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", withAssertion(b.RedeemForm(client, code), assertion)))
	b.Token(t, withAssertion(b.RedeemForm(client, code), s.assertion(t, nil, nil)))
}

// AS-080, AS-081: one way to authenticate, whole.
func TestAssertion_AS080_AS081_oneWay(t *testing.T) {
	t.Parallel()
	key := bridgetest.NewKey(t, "ES256")
	b := bridgetest.Start(t, bridgetest.WithPinned(t, keyDocument(documentID, nil, key)))
	s := &signer{b: b, id: documentID, key: key}
	base := func() url.Values {
		return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"tbr_unknown"}}
	}
	form := withAssertion(base(), s.assertion(t, nil, nil))
	wire{400, "invalid_request"}.check(t, b.PostForm(t, "/oauth/token", form, "Authorization", "Basic YTpi"))
	form.Set("client_secret", "secret")
	wire{400, "invalid_request"}.check(t, b.PostForm(t, "/oauth/token", form))
	form = withAssertion(base(), s.assertion(t, nil, nil))
	form.Set("client_id", "somebody-else")
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", form))
	form = withAssertion(base(), s.assertion(t, nil, nil))
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", form))
	form.Del("client_assertion_type")
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", form))
	form = base()
	form.Set("client_id", documentID)
	form.Set("client_assertion_type", assertionType)
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", form))
	form = base()
	form.Set("client_id", documentID)
	form.Set("client_secret", "guess")
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", form)) // AS-081
	form = withAssertion(base(), s.assertion(t, nil, nil))
	form["client_assertion"] = append(form["client_assertion"], s.assertion(t, nil, nil))
	wire{400, "invalid_request"}.check(t, b.PostForm(t, "/oauth/token", form))
}

// AS-009: the method works for a client registered for it, and for a configured one.
func TestAssertion_AS009_otherClients(t *testing.T) {
	t.Parallel()
	key, house := bridgetest.NewKey(t, "ES256"), bridgetest.NewKey(t, "ES256")
	jwk, err := house.Public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	b := bridgetest.Start(t, bridgetest.WithFile(`
clients:
  - id: house-client
    name: House Client
    redirect_uris: ["`+bridgetest.Redirect+`"]
    jwks: {keys: [`+string(jwk)+`]}
`))
	registered := b.RegisterAs(t, map[string]any{
		"redirect_uris": []string{bridgetest.Redirect}, "token_endpoint_auth_method": "private_key_jwt", "jwks": bridgetest.JWKS(key),
		"grant_types": []string{"authorization_code", "refresh_token"},
	})
	if registered.Secret != "" {
		t.Error("a client with a key was given a secret")
	}
	for _, s := range []*signer{{b: b, id: registered.ID, key: key}, {b: b, id: "house-client", key: house}} {
		client := describedClient(s.id)
		code := b.Code(t, client, b.Someone())
		wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RedeemForm(client, code)))
		tokens := b.Token(t, withAssertion(b.RedeemForm(client, code), s.assertion(t, nil, nil)))
		b.Token(t, withAssertion(b.RefreshForm(client, tokens.Refresh), s.assertion(t, nil, nil)))
		wire{401, "invalid_client"}.check(t, s.probe(t, s.assertion(t, claims{"aud": b.URL + "/oauth/token"}, nil)))
	}
	answer := b.PostJSON(t, "/oauth/register", `{"redirect_uris":["https://app.example.com/cb"],"token_endpoint_auth_method":"private_key_jwt"}`)
	wire{400, "invalid_client_metadata"}.check(t, answer)
}

// AS-106, AS-078: keys behind a jwks_uri, their rotation, and an address that must not be asked.
func TestAssertion_AS106_keysURI(t *testing.T) {
	bridgetest.OneProcess(t, "copies of published keys are a process's own")
	t.Parallel()
	host, key, next := bridgetest.NewDocumentHost(t), bridgetest.NewKey(t, "RS256"), bridgetest.NewKey(t, "RS256")
	inner := keyDocument(documentID, bridgetest.Document{"jwks_uri": "https://169.254.169.254/keys"}, key)
	delete(inner, "jwks")
	b := bridgetest.Start(t, host.Settings, bridgetest.WithPinned(t, inner))
	id := host.URL + "/client.json"
	set := bridgetest.Document(bridgetest.JWKS(key)).Text(t)
	host.Serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/jwks.json" {
			_, _ = w.Write([]byte(set))
			return
		}
		d := keyDocument(id, bridgetest.Document{"jwks_uri": host.URL + "/jwks.json"})
		delete(d, "jwks")
		_, _ = w.Write([]byte(d.Text(t)))
	})
	s := &signer{b: b, id: id, key: key}
	client := describedClient(id)
	tokens := b.Token(t, withAssertion(b.RedeemForm(client, b.Code(t, client, alice)), s.assertion(t, nil, nil)))
	set = bridgetest.Document(bridgetest.JWKS(key, next)).Text(t)
	b.Clock.Advance(2 * time.Minute)
	s.key = next
	tokens = b.Token(t, withAssertion(b.RefreshForm(client, tokens.Refresh), s.assertion(t, nil, nil)))
	host.Serve(http.NotFound)
	b.Clock.Advance(20 * time.Hour)
	b.Token(t, withAssertion(b.RefreshForm(client, tokens.Refresh), s.assertion(t, nil, nil))) // CM-29
	wire{401, "invalid_client"}.check(t, s.probe(t, (&signer{b: b, id: documentID, key: key}).assertion(t, nil, nil)))
}
