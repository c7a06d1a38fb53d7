package gateway_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/dpop"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/signed/signedtest"
)

// memory says yes to every proof, or fails.
type memory struct{ err error }

func (m *memory) UseOnce(context.Context, string, string, time.Time, time.Time) (bool, error) {
	return m.err == nil, m.err
}

// EX-28: a proof and the scheme end here. A store that cannot remember the proof lets nothing through.
func TestProof_EX28_upstream(t *testing.T) {
	t.Parallel()
	once := &memory{}
	var now func() time.Time
	w := start(t, func(o *gateway.Options) {
		now = o.Now
		o.Proofs = &dpop.Checker{Once: once, Now: o.Now}
	})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := jose.JSONWebKey{Key: key.Public()}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	c := w.connect("alice")
	minted, _, err := w.signer.Mint(c.grant, c.grant.Scopes, bridge.Hash(thumbprint), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(map[string]any{
		"jti": "1", "htm": http.MethodPost, "htu": resource, "iat": now().Unix(), "ath": minted.Hash().String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	proof, err := signedtest.Sign(jose.ES256, key, map[string]any{"typ": "dpop+jwt", "jwk": public}, payload)
	if err != nil {
		t.Fatal(err)
	}
	headers := header{"Authorization": {"DPoP " + minted.Reveal()}, "Dpop": {proof}}

	w.send(http.MethodPost, "/mcp", initialize, headers).want(t, http.StatusOK)
	got := w.upstream.last(t).header
	if got["Dpop"] != nil || len(got["Authorization"]) != 1 || got["Authorization"][0] != "Bearer "+c.key {
		t.Errorf("EX-28: the upstream got %v", got)
	}
	once.err = bridge.ErrReadOnly
	before := len(w.upstream.requests())
	w.send(http.MethodPost, "/mcp", initialize, headers).want(t, http.StatusServiceUnavailable)
	if len(w.upstream.requests()) != before {
		t.Error("the upstream was asked")
	}
}
