package discovery_test

import (
	"slices"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
)

func TestChallenge_Fields(t *testing.T) {
	t.Parallel()
	const metadata = "https://connect.example.com/.well-known/oauth-protected-resource/mcp"
	tests := []struct {
		id        string
		challenge discovery.Challenge
		want      []string
	}{
		{
			"RS-02, RS-03/none sent",
			discovery.Challenge{Metadata: metadata, Scopes: bridge.BaselineScopes()},
			[]string{`Bearer resource_metadata="` + metadata + `", scope="trinity:read trinity:write"`},
		},
		{
			"RS-04/bad token",
			discovery.Challenge{Metadata: metadata, Scopes: bridge.BaselineScopes(), Error: "invalid_token", Description: "Not valid here"},
			[]string{`Bearer error="invalid_token", error_description="Not valid here", resource_metadata="` + metadata + `", scope="trinity:read trinity:write"`},
		},
		{
			"RS-27/step-up",
			discovery.Challenge{Metadata: metadata, Scopes: bridge.AllScopes(), Error: "insufficient_scope"},
			[]string{`Bearer error="insufficient_scope", resource_metadata="` + metadata + `", scope="trinity:read trinity:write trinity:admin"`},
		},
		{
			"EX-23, RS-05/DPoP is on",
			discovery.Challenge{Metadata: metadata, Error: "invalid_token", ProofAlgorithms: []string{"ES256", "EdDSA"}},
			[]string{
				`Bearer error="invalid_token", resource_metadata="` + metadata + `"`,
				`DPoP error="invalid_token", resource_metadata="` + metadata + `", algs="ES256 EdDSA"`,
			},
		},
		{
			"EX-23/about a proof",
			discovery.Challenge{Metadata: metadata, Error: "invalid_dpop_proof", ProofAlgorithms: []string{"ES256"}, ProofOnly: true},
			[]string{`DPoP error="invalid_dpop_proof", resource_metadata="` + metadata + `", algs="ES256"`},
		},
		{
			"EX-21/about a proof while DPoP is off",
			discovery.Challenge{Metadata: metadata, ProofOnly: true},
			[]string{`Bearer resource_metadata="` + metadata + `"`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			if got := tt.challenge.Fields(); !slices.Equal(got, tt.want) {
				t.Errorf("Fields = %q, want %q", got, tt.want)
			}
		})
	}
}
