package idp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge/signed/signedtest"
)

// The client the provider knows.
const (
	ClientID     = "bridge-at-provider"
	ClientSecret = "a secret of the provider, with a blank & signs"
)

// Person is somebody the provider can sign in.
type Person struct {
	Subject  string
	Claims   map[string]any // of the ID token
	Userinfo map[string]any // besides sub
}

// Hooks make the provider say something else.
type Hooks struct {
	Discovery func(document map[string]any)
	Claims    func(claims map[string]any)                   // of an ID token, before it is signed
	Sign      func(payload []byte) (string, error)          // in the place of signing
	Token     func(answer map[string]any)                   // of the token endpoint
	Userinfo  func(answer map[string]any)                   // of the userinfo endpoint
	Keys      func(keys *jose.JSONWebKeySet)                // of the JWKS
	Intercept func(http.ResponseWriter, *http.Request) bool // true: the request is answered
}

// Server is a running provider.
type Server struct {
	Issuer string
	Now    func() time.Time

	t      testing.TB
	http   *httptest.Server
	slash  string
	mu     sync.Mutex
	hooks  Hooks
	alg    jose.SignatureAlgorithm
	keys   map[jose.SignatureAlgorithm]crypto.Signer
	kid    int
	people map[string]Person
	codes  map[string]pending
	access map[string]string
	alive  map[string]string // refresh tokens
	asked  map[string]int
	last   map[string]*http.Request
	signed string
}

type pending struct {
	subject, nonce, challenge, redirect string
}

// Start starts a provider. slash is the end of its issuer: "" or "/".
func Start(t testing.TB, slash string, now func() time.Time) *Server {
	t.Helper()
	s := &Server{
		Now: now, t: t, slash: slash, alg: jose.RS256, people: map[string]Person{}, codes: map[string]pending{},
		access: map[string]string{}, alive: map[string]string{}, asked: map[string]int{}, last: map[string]*http.Request{},
	}
	s.Rotate()
	mux := http.NewServeMux()
	for path, handler := range map[string]http.HandlerFunc{
		"/.well-known/openid-configuration": s.discovery, "/keys": s.serveKeys, "/authorize": s.authorize,
		"/token": s.token, "/userinfo": s.userinfo,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			s.mu.Lock()
			s.asked[path]++
			s.last[path] = r
			intercept := s.hooks.Intercept
			s.mu.Unlock()
			if intercept == nil || !intercept(w, r) {
				handler(w, r)
			}
		})
	}
	// One with several tenants describes itself below the path of each.
	mux.HandleFunc("/organizations/v2.0/.well-known/openid-configuration", s.discovery)
	s.http = httptest.NewServer(mux)
	t.Cleanup(s.http.Close)
	s.Issuer = s.http.URL + slash
	return s
}

// Add makes people known.
func (s *Server) Add(people ...Person) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, person := range people {
		s.people[person.Subject] = person
	}
}

// Hook sets the hooks.
func (s *Server) Hook(hooks Hooks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = hooks
}

// Sign has ID tokens signed with another algorithm.
func (s *Server) Sign(algorithm jose.SignatureAlgorithm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alg = algorithm
}

// Asked is how often a path was asked.
func (s *Server) Asked(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// Last is the last request to a path, its form read.
func (s *Server) Last(path string) *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last[path]
}

// LastIDToken is the ID token that was made last.
func (s *Server) LastIDToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signed
}

// Forget makes every refresh token void: the person's session has ended.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive = map[string]string{}
}

// Rotate replaces the signing keys.
func (s *Server) Rotate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	s.kid++
	s.keys = map[jose.SignatureAlgorithm]crypto.Signer{jose.RS256: rsaKey, jose.ES256: ecKey, jose.EdDSA: edKey}
}

func (s *Server) keyID(algorithm jose.SignatureAlgorithm) string {
	return string(algorithm) + "-" + strconv.Itoa(s.kid)
}

// PublicKeys are the keys as they are published.
func (s *Server) PublicKeys() jose.JSONWebKeySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	var set jose.JSONWebKeySet
	for algorithm, key := range s.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: s.keyID(algorithm), Algorithm: string(algorithm), Use: "sig"})
	}
	return set
}

// Compact signs a payload as the provider does, with more in the header.
func (s *Server) Compact(payload []byte, header map[string]any) (string, error) {
	s.mu.Lock()
	algorithm, key, kid := s.alg, s.keys[s.alg], s.keyID(s.alg)
	s.mu.Unlock()
	all := map[string]any{"typ": "JWT"}
	maps.Copy(all, header)
	return signedtest.Sign(algorithm, jose.JSONWebKey{Key: key, KeyID: kid}, all, payload)
}

// Approve plays the browser: it goes to the address the bridge sent it to, signs the person in and
// returns where the provider sends the browser back to.
func (s *Server) Approve(t testing.TB, address, subject string) *url.URL {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"&as="+url.QueryEscape(subject), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	back, err := res.Location()
	if err != nil {
		t.Fatalf("the provider sends nobody back: %d", res.StatusCode)
	}
	return back
}

func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	base := s.http.URL
	document := map[string]any{
		"issuer": s.Issuer, "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/token",
		"jwks_uri": base + "/keys", "userinfo_endpoint": base + "/userinfo", "response_types_supported": []string{"code"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256", "ES256", "EdDSA"},
		"authorization_response_iss_parameter_supported": true,
	}
	if hook := s.hooked().Discovery; hook != nil {
		hook(document)
	}
	answer(w, http.StatusOK, document)
}

func (s *Server) hooked() Hooks {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hooks
}

func (s *Server) serveKeys(w http.ResponseWriter, _ *http.Request) {
	set := s.PublicKeys()
	if hook := s.hooked().Keys; hook != nil {
		hook(&set)
	}
	answer(w, http.StatusOK, set)
}

func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := rand.Text()
	s.mu.Lock()
	s.codes[code] = pending{q.Get("as"), q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri")}
	s.mu.Unlock()
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {s.Issuer}}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	subject, nonce, refused := s.redeem(r)
	if refused != "" {
		answer(w, http.StatusBadRequest, map[string]any{"error": refused})
		return
	}
	s.mu.Lock()
	person := s.people[subject]
	access, refresh := rand.Text(), rand.Text()
	s.access[access], s.alive[refresh] = subject, subject
	s.mu.Unlock()
	claims := map[string]any{
		"iss": s.Issuer, "sub": subject, "aud": ClientID, "exp": s.Now().Add(time.Hour).Unix(), "iat": s.Now().Unix(), "sid": "sid-" + subject,
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	maps.Copy(claims, person.Claims)
	hooks := s.hooked()
	if hooks.Claims != nil {
		hooks.Claims(claims)
	}
	payload, err := json.Marshal(claims)
	sign := hooks.Sign
	if sign == nil {
		sign = func(payload []byte) (string, error) { return s.Compact(payload, nil) }
	}
	var compact string
	if err == nil {
		compact, err = sign(payload)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.mu.Lock()
	s.signed = compact
	s.mu.Unlock()
	document := map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": 3600, "id_token": compact, "refresh_token": refresh,
	}
	if hooks.Token != nil {
		hooks.Token(document)
	}
	answer(w, http.StatusOK, document)
}

// redeem spends a code or refresh token.
func (s *Server) redeem(r *http.Request) (subject, nonce, refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if refresh := r.PostForm.Get("refresh_token"); refresh != "" {
		subject, ok := s.alive[refresh]
		if !ok {
			return "", "", "invalid_grant"
		}
		delete(s.alive, refresh)
		return subject, "", ""
	}
	code, ok := s.codes[r.PostForm.Get("code")]
	delete(s.codes, r.PostForm.Get("code"))
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != code.challenge || r.PostForm.Get("redirect_uri") != code.redirect {
		return "", "", "invalid_grant"
	}
	return code.subject, code.nonce, ""
}

func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) {
	const prefix = "Bearer "
	s.mu.Lock()
	header := r.Header.Get("Authorization")
	subject := s.access[header[min(len(prefix), len(header)):]]
	document := map[string]any{"sub": subject}
	maps.Copy(document, s.people[subject].Userinfo)
	s.mu.Unlock()
	if hook := s.hooked().Userinfo; hook != nil {
		hook(document)
	}
	answer(w, http.StatusOK, document)
}

func answer(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document)
}
