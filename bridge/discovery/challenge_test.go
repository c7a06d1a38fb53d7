package discovery_test

import (
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
)

func TestChallenge_Header(t *testing.T) {
	t.Parallel()
	const metadata = "https://connect.example.com/.well-known/oauth-protected-resource/mcp"
	tests := []struct {
		id        string
		challenge discovery.Challenge
		want      string
	}{
		{
			"RS-02, RS-03/none sent",
			discovery.Challenge{Metadata: metadata, Scopes: bridge.BaselineScopes()},
			`Bearer resource_metadata="` + metadata + `", scope="trinity:read trinity:write"`,
		},
		{
			"RS-04/bad token",
			discovery.Challenge{Metadata: metadata, Scopes: bridge.BaselineScopes(), Error: "invalid_token", Description: "Not valid here"},
			`Bearer error="invalid_token", error_description="Not valid here", resource_metadata="` + metadata + `", scope="trinity:read trinity:write"`,
		},
		{
			"RS-27/step-up",
			discovery.Challenge{Metadata: metadata, Scopes: bridge.AllScopes(), Error: "insufficient_scope"},
			`Bearer error="insufficient_scope", resource_metadata="` + metadata + `", scope="trinity:read trinity:write trinity:admin"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			if got := tt.challenge.Header(); got != tt.want {
				t.Errorf("Header = %s, want %s", got, tt.want)
			}
		})
	}
}
