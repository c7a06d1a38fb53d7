package clients_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
)

const documentID = "https://app.example.com/client.json"

// Public keys of nobody.
const (
	keyEC = `{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	keyOK = `{"kty":"OKP","crv":"Ed25519","kid":"b","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	small = `{"kty":"RSA","kid":"c","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs","e":"AQAB"}`
)

// described is a good document, changed by members; a nil value takes a member out.
func described(members map[string]any) []byte {
	document := map[string]any{
		"client_id": documentID, "client_name": "Example App", "redirect_uris": []string{"https://app.example.com/callback"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "token_endpoint_auth_method": "none",
	}
	for name, value := range members {
		if value == nil {
			delete(document, name)
			continue
		}
		document[name] = value
	}
	text, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return text
}

func keys(list ...string) json.RawMessage {
	return json.RawMessage(`{"keys":[` + strings.Join(list, ",") + `]}`)
}

type with = map[string]any

// refusedDocuments are those of the catalogue of attacks and of the rules, by their case.
func refusedDocuments() map[string][]byte {
	private := func(member string) json.RawMessage {
		return keys(strings.TrimSuffix(keyEC, "}") + `,"` + member + `":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`)
	}
	return map[string][]byte{
		"AS-098, CM-15/another case":        described(with{"client_id": "https://app.example.com/Client.json"}),
		"AS-098, CM-15/slash":               described(with{"client_id": documentID + "/"}),
		"AS-098, CM-15/port":                described(with{"client_id": "https://app.example.com:443/client.json"}),
		"AS-098, CM-15/escape":              described(with{"client_id": "https://app.example.com/client%2Ejson"}),
		"AS-098/none":                       described(with{"client_id": nil}),
		"AS-100/array":                      []byte("[" + string(described(nil)) + "]"),
		"AS-100/cut":                        described(nil)[:100],
		"AS-100/two":                        append(described(nil), described(nil)...),
		"AS-100/nothing":                    nil,
		"AS-100/text":                       []byte(`"text"`),
		"AS-100/member twice":               []byte(`{"client_id":"` + documentID + `","client_name":"A","client_name":"B","redirect_uris":["https://app.example.com/cb"]}`),
		"AS-100/another case of a member":   []byte(`{"Client_ID":"` + documentID + `","client_name":"A","redirect_uris":["https://app.example.com/cb"]}`),
		"AS-100/not UTF-8":                  []byte(strings.Replace(string(described(nil)), "Example", "Ex\xffmple", 1)),
		"CM-16/BOM":                         append([]byte("\xef\xbb\xbf"), described(nil)...),
		"CM-16/UTF-16":                      []byte("{\x00\"\x00c\x00"),
		"CM-21/5,121 bytes":                 append(described(nil), make([]byte, 5121-len(described(nil)))...),
		"AS-101/no name":                    described(with{"client_name": nil}),
		"AS-101/empty name":                 described(with{"client_name": ""}),
		"AS-101/name is a number":           described(with{"client_name": 5}),
		"AS-101/no redirects":               described(with{"redirect_uris": nil}),
		"AS-101/empty redirects":            described(with{"redirect_uris": []string{}}),
		"AS-101/redirects are one text":     described(with{"redirect_uris": "https://app.example.com/callback"}),
		"AS-101/redirect is a number":       described(with{"redirect_uris": []any{5}}),
		"AS-029/javascript":                 described(with{"redirect_uris": []string{"https://app.example.com/cb", "javascript:alert(1)"}}),
		"AS-029/http elsewhere":             described(with{"redirect_uris": []string{"http://app.example.com/cb"}}),
		"AS-029/fragment":                   described(with{"redirect_uris": []string{"https://app.example.com/cb#x"}}),
		"AS-029/only a scheme of its own":   described(with{"redirect_uris": []string{"app:/cb"}}),
		"AS-052/long name":                  described(with{"client_name": strings.Repeat("x", 257)}),
		"AS-102, CM-17/post":                described(with{"token_endpoint_auth_method": "client_secret_post"}),
		"AS-102, CM-17/basic":               described(with{"token_endpoint_auth_method": "client_secret_basic"}),
		"AS-102, CM-17/secret JWT":          described(with{"token_endpoint_auth_method": "client_secret_jwt"}),
		"AS-102, CM-17/in the list":         described(with{"token_endpoint_auth_methods_supported": []string{"none", "client_secret_post"}}),
		"AS-102, CM-17/secret":              described(with{"client_secret": "x"}),
		"AS-102, CM-17/secret's end":        described(with{"client_secret_expires_at": 0}),
		"AS-102, CM-17/private EC key":      described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks": private("d")}),
		"AS-102, CM-17/though method none":  described(with{"jwks": private("d")}),
		"AS-102, CM-17/RSA factor":          described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks": private("p")}),
		"AS-102, CM-17/shared key":          described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys(`{"kty":"oct","k":"c2VjcmV0"}`)}),
		"AS-103/no method we know":          described(with{"token_endpoint_auth_method": "tls_client_auth"}),
		"AS-103/key method without keys":    described(with{"token_endpoint_auth_method": "private_key_jwt"}),
		"AS-103/key method, empty set":      described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys()}),
		"AS-103/key method, null":           described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks": json.RawMessage("null")}),
		"AS-103/key method, weak key":       described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys(small)}),
		"AS-103/key method, no set":         described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks": json.RawMessage("[]")}),
		"AS-103/key for encryption":         described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys(strings.TrimSuffix(keyEC, "}") + `,"use":"enc"}`)}),
		"AS-103/jwks and jwks_uri":          described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys(keyEC), "jwks_uri": "https://app.example.com/keys"}),
		"AS-103/an algorithm we lack":       described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys(keyEC), "token_endpoint_auth_signing_alg": "HS256"}),
		"AS-106/jwks_uri over http":         described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://app.example.com/keys"}),
		"AS-106/jwks_uri is a file":         described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "file:///etc/passwd"}),
		"AS-106/jwks_uri with user":         described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://u@app.example.com/keys"}),
		"AS-117/grant types without code":   described(with{"grant_types": []string{"client_credentials"}}),
		"AS-117/response types without one": described(with{"response_types": []string{"token"}}),
	}
}

// AS-029, AS-052, AS-098, AS-100…AS-103, AS-106, CM-15…CM-17, CM-21: each of them is refused.
func TestReadDocument_refuses(t *testing.T) {
	t.Parallel()
	for id, body := range refusedDocuments() {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			if client, err := clients.ReadDocument(documentID, body); err == nil {
				t.Errorf("taken as %+v", client)
			}
		})
	}
}

func TestReadDocument_takes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		members with
		method  bridge.AuthMethod
		check   func(bridge.Client) bool
	}{
		"AS-103/no method":            {with{"token_endpoint_auth_method": nil}, bridge.AuthNone, nil},
		"AS-103/none in the list":     {with{"token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"none"}}, bridge.AuthNone, nil},
		"AS-103/key without keys":     {with{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": []string{"none"}}, bridge.AuthNone, nil},
		"AS-103/other beside none":    {with{"token_endpoint_auth_methods_supported": []string{"tls_client_auth", "none"}}, bridge.AuthNone, nil},
		"AS-103/keys, but none":       {with{"jwks": keys(keyEC)}, bridge.AuthNone, func(c bridge.Client) bool { return c.Keys == nil }},
		"B44/key and none, keys":      {with{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}, "jwks": keys(keyEC)}, bridge.AuthKey, func(c bridge.Client) bool { return c.OffersNone }},
		"B44/key alone":               {with{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys(keyOK)}, bridge.AuthKey, func(c bridge.Client) bool { return !c.OffersNone }},
		"B44/key in the list":         {with{"token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"private_key_jwt"}, "jwks_uri": "https://keys.example.com/k?v=1"}, bridge.AuthKey, func(c bridge.Client) bool { return c.KeysURI != "" && c.Keys == nil }},
		"RFC 7517/unknown kinds":      {with{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys(`{"kty":"new"}`, small, keyEC)}, bridge.AuthKey, nil},
		"AS-026/foreign schemes":      {with{"redirect_uris": []string{"app:/cb", "https://app.example.com/cb"}}, bridge.AuthNone, func(c bridge.Client) bool { return len(c.RedirectURIs) == 1 }},
		"a redirect twice":            {with{"redirect_uris": []string{"https://app.example.com/cb", "https://app.example.com/cb"}}, bridge.AuthNone, func(c bridge.Client) bool { return len(c.RedirectURIs) == 1 }},
		"no grant types":              {with{"grant_types": nil, "response_types": nil}, bridge.AuthNone, func(c bridge.Client) bool { return !c.MayUse(bridge.GrantTypeRefresh) }},
		"members nobody knows":        {with{"client_name#de": "Beispiel", "x": with{"y": 1}, "logo_uri": "http://169.254.169.254/", "scope": "a b", "contacts": 5}, bridge.AuthNone, func(c bridge.Client) bool { return c.LogoURI == "" }},
		"B35/null members":            {with{"client_secret": json.RawMessage("null"), "client_uri": json.RawMessage("null"), "jwks": json.RawMessage("null")}, bridge.AuthNone, nil},
		"CO-14/markup stays a word":   {with{"client_name": "<script>"}, bridge.AuthNone, func(c bridge.Client) bool { return c.Name == "<script>" }},
		"AS-010/the one algorithm":    {with{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys(keyEC), "token_endpoint_auth_signing_alg": "ES256"}, bridge.AuthKey, func(c bridge.Client) bool { return c.SigningAlg == "ES256" }},
		"AS-010/none of a public one": {with{"token_endpoint_auth_signing_alg": "HS256"}, bridge.AuthNone, nil},
	}
	for id, tt := range tests {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			client, err := clients.ReadDocument(documentID, described(tt.members))
			if err != nil {
				t.Fatal(err)
			}
			if client.AuthMethod != tt.method || client.Kind != bridge.ClientDocument || client.ID != documentID || tt.check != nil && !tt.check(client) {
				t.Errorf("%+v", client)
			}
			if client.Verified() || client.SecretHashes != nil || client.Fingerprint.IsZero() {
				t.Errorf("%+v", client)
			}
		})
	}
}

// AS-112: what a yes rests on changes the fingerprint, the rest does not.
func TestReadDocument_AS112_fingerprint(t *testing.T) {
	t.Parallel()
	of := func(members with) bridge.Hash {
		client, err := clients.ReadDocument(documentID, described(members))
		if err != nil {
			t.Fatal(err)
		}
		return client.Fingerprint
	}
	keyed := func(more with) with {
		all := with{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys(keyEC)}
		for name, value := range more {
			all[name] = value
		}
		return all
	}
	plain, signed := of(nil), of(keyed(nil))
	for name, changed := range map[string]bridge.Hash{
		"name":     of(with{"client_name": "Another App"}),
		"website":  of(with{"client_uri": "https://app.example.com"}),
		"redirect": of(with{"redirect_uris": []string{"https://app.example.com/callback", "https://app.example.com/2"}}),
		"method":   signed,
	} {
		if changed == plain {
			t.Errorf("%s: the fingerprint is the same", name)
		}
	}
	for name, changed := range map[string]bridge.Hash{
		"keys":      of(keyed(with{"jwks": keys(keyOK)})),
		"one more":  of(keyed(with{"jwks": keys(keyEC, keyOK)})),
		"elsewhere": of(keyed(with{"jwks": nil, "jwks_uri": "https://app.example.com/k"})),
		"algorithm": of(keyed(with{"token_endpoint_auth_signing_alg": "ES256"})),
	} {
		if changed == signed {
			t.Errorf("%s: the fingerprint is the same", name)
		}
	}
	for name, same := range map[string]bridge.Hash{
		"unknown member": of(with{"x": 1}),
		"logo":           of(with{"logo_uri": "https://app.example.com/logo.png"}),
		"grant types":    of(with{"grant_types": []string{"authorization_code"}}),
	} {
		if same != plain {
			t.Errorf("%s: the fingerprint differs", name)
		}
	}
	spaced := of(keyed(with{"jwks": json.RawMessage(`{ "keys": [ {"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","kid":"a","crv":"P-256","kty":"EC"} ]}`)}))
	if spaced != signed {
		t.Error("the order of a key's members changes the fingerprint")
	}
}

// The documents of real clients, as client behaviours §1 has them; the words are ours.
func TestReadDocument_realClients(t *testing.T) {
	t.Parallel()
	both := []string{"authorization_code", "refresh_token"}
	tests := []struct {
		name, id  string
		members   with
		method    bridge.AuthMethod
		redirects []string
	}{
		{
			"Claude", "https://claude.ai/oauth/mcp-oauth-client-metadata",
			with{"client_name": "Claude", "redirect_uris": []string{"https://claude.ai/api/mcp/auth_callback"}},
			bridge.AuthNone,
			[]string{"https://claude.ai/api/mcp/auth_callback"},
		},
		{
			"Claude Code", "https://claude.ai/oauth/claude-code-client-metadata",
			with{"client_name": "Claude Code", "redirect_uris": []string{"http://localhost/callback", "http://127.0.0.1/callback"}},
			bridge.AuthNone,
			[]string{"http://localhost:3118/callback", "http://127.0.0.1:51004/callback"},
		},
		{
			"ChatGPT", "https://chatgpt.com/oauth/client.json",
			with{
				"client_name": "ChatGPT", "redirect_uris": []string{"https://chatgpt.com/connector_platform_oauth_redirect"},
				"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"},
				"token_endpoint_auth_signing_alg": "RS256", "jwks_uri": "https://chatgpt.com/oauth/jwks.json",
			},
			bridge.AuthKey,
			[]string{"https://chatgpt.com/connector_platform_oauth_redirect"},
		},
		{
			"VS Code", "https://vscode.dev/oauth/client-metadata.json",
			with{
				"client_name": "Visual Studio Code", "client_uri": "https://vscode.dev/product", "application_type": "native",
				"grant_types":   append([]string{"urn:ietf:params:oauth:grant-type:device_code"}, both...),
				"redirect_uris": []string{"http://127.0.0.1:33418/", "https://vscode.dev/redirect"},
			},
			bridge.AuthNone,
			[]string{"http://127.0.0.1:33418/", "http://127.0.0.1:40000/", "https://vscode.dev/redirect"},
		},
		{
			"Copilot CLI", "https://github.com/copilot/cli/client-metadata.json",
			with{"client_name": "Copilot CLI", "redirect_uris": []string{"http://127.0.0.1:33418/"}},
			bridge.AuthNone,
			[]string{"http://127.0.0.1:51999/"},
		},
		{
			"Goose", "https://goose-docs.ai/oauth/client-metadata.json",
			with{"client_name": "goose", "redirect_uris": []string{"http://127.0.0.1/oauth_callback", "http://[::1]/oauth_callback"}},
			bridge.AuthNone,
			[]string{"http://127.0.0.1:8765/oauth_callback", "http://[::1]:8765/oauth_callback"},
		},
		{
			"Slack", "https://slack.com/.well-known/oauth-client-metadata",
			with{"client_name": "Slack", "redirect_uris": []string{"https://oauth2.slack.com/external/auth/callback"}},
			bridge.AuthNone,
			[]string{"https://oauth2.slack.com/external/auth/callback"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := clients.CheckDocumentID(tt.id); err != nil {
				t.Fatal(err)
			}
			tt.members["client_id"] = tt.id
			client, err := clients.ReadDocument(tt.id, described(tt.members))
			if err != nil {
				t.Fatal(err)
			}
			if client.AuthMethod != tt.method || !client.MayUse(bridge.GrantTypeRefresh) {
				t.Errorf("%+v", client)
			}
			for _, redirect := range tt.redirects {
				if !clients.MatchRedirect(client.RedirectURIs, redirect) {
					t.Errorf("B40: %s does not match %v", redirect, client.RedirectURIs)
				}
			}
			view := clients.Describe(client, tt.redirects[0])
			if view.DocumentHost == "" || view.RedirectHost == "" || view.Verified {
				t.Errorf("AS-110: %+v", view)
			}
		})
	}
}

// A document of whatever bytes is refused, or is a client that keeps all the rules.
func FuzzReadDocument(f *testing.F) {
	for _, body := range refusedDocuments() {
		f.Add(body)
	}
	f.Add(described(nil))
	f.Add(described(with{"token_endpoint_auth_method": "private_key_jwt", "jwks": keys(keyEC, keyOK)}))
	f.Add(described(with{"token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}, "jwks_uri": "https://app.example.com/k"}))
	f.Add(described(with{"redirect_uris": []string{"http://[::1]:80/x", "app:/cb", "http://127.0.0.1/"}}))
	f.Add([]byte(`{"client_id":"https://app.example.com/client.json","client_name":"a","redirect_uris":["https://a/"],"client_secret":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		client, err := clients.ReadDocument(documentID, body)
		if err != nil {
			return
		}
		if client.ID != documentID || client.Name == "" || len(client.RedirectURIs) == 0 || client.Fingerprint.IsZero() || len(body) > 5<<10 {
			t.Fatalf("%+v", client)
		}
		for _, redirect := range client.RedirectURIs {
			if err := clients.CheckRedirect(redirect); err != nil {
				t.Fatalf("%q: %v", redirect, err)
			}
		}
		switch client.AuthMethod {
		case bridge.AuthNone:
			if client.Keys != nil || client.KeysURI != "" {
				t.Fatalf("%+v", client)
			}
		case bridge.AuthKey:
			if (len(client.Keys) > 0) == (client.KeysURI != "") {
				t.Fatalf("%+v", client)
			}
		default:
			t.Fatalf("method %q", client.AuthMethod)
		}
		again, err := clients.ReadDocument(documentID, body)
		if err != nil || again.Fingerprint != client.Fingerprint {
			t.Fatal(errors.Join(err, errors.New("two readings")))
		}
	})
}
