package oidc_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest/idp"
	"github.com/abilityai/trinity-bridge/federation"
	"github.com/abilityai/trinity-bridge/federation/oidc"
)

// What the operator demands of a sign-in is asked for, and what the provider says it did is what counts; a claim
// that is missing or of another form is no yes.
func TestProvider_strength(t *testing.T) {
	t.Parallel()
	at := func(ago time.Duration) int64 { return now.Add(-ago).Unix() }
	acr := oidc.Strength{ACR: []string{"phr", "mfa"}}
	amr := oidc.Strength{AMR: []string{"mfa", "hwk"}}
	age := oidc.Strength{MaxAge: time.Hour}
	tests := []struct {
		name   string
		demand oidc.Strength
		claims map[string]any
		good   bool
	}{
		{"nothing demanded", oidc.Strength{}, map[string]any{"amr": "pwd", "acr": 1}, true},
		{"acr", acr, map[string]any{"acr": "mfa"}, true},
		{"acr of less", acr, map[string]any{"acr": "pwd"}, false},
		{"acr absent", acr, nil, false},
		{"acr as a list", acr, map[string]any{"acr": []string{"mfa"}}, false},
		{"amr", amr, map[string]any{"amr": []string{"pwd", "hwk"}}, true},
		{"amr of less", amr, map[string]any{"amr": []string{"pwd"}}, false},
		{"amr absent", amr, nil, false},
		{"amr as text", amr, map[string]any{"amr": "mfa"}, false},
		{"amr empty", amr, map[string]any{"amr": []string{}}, false},
		{"fresh", age, map[string]any{"auth_time": at(59 * time.Minute)}, true},
		{"old", age, map[string]any{"auth_time": at(2 * time.Hour)}, false},
		{"to come", age, map[string]any{"auth_time": at(-time.Hour)}, false},
		{"auth_time absent", age, nil, false},
		{"auth_time as text", age, map[string]any{"auth_time": "now"}, false},
		{"auth_time zero", age, map[string]any{"auth_time": 0}, false},
		{"all but one", oidc.Strength{ACR: acr.ACR, AMR: amr.AMR}, map[string]any{"acr": "mfa"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "", func(o *oidc.Options) { o.Strength = tt.demand })
			// What is not signed with the rest does not count.
			b.server.Add(idp.Person{Subject: "u1", Claims: tt.claims, Userinfo: map[string]any{"acr": "mfa", "amr": []string{"mfa"}, "auth_time": at(0)}})
			_, err := b.walk()
			if tt.good && err != nil || !tt.good && !errors.Is(err, federation.ErrWeak) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestProvider_strength_asked(t *testing.T) {
	t.Parallel()
	b := newBench(t, "", func(o *oidc.Options) { o.Strength = oidc.Strength{ACR: []string{"phr", "mfa"}, MaxAge: time.Hour} })
	address, err := b.party.Depart(t.Context(), trip())
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if q := at.Query(); q.Get("acr_values") != "phr mfa" || q.Get("max_age") != "3600" {
		t.Errorf("the address is %s", address)
	}
}
