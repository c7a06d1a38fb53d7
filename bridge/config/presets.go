package config

import (
	"maps"
	"slices"
	"strings"
)

// presets fill in what is particular to a product; what the operator wrote himself stays.
func presets() map[string]SourceDeclaration {
	off := false
	return map[string]SourceDeclaration{
		"auth0":    {Scopes: words{"profile", "email", "offline_access"}},
		"dex":      {Scopes: words{"profile", "email", "groups", "offline_access"}, Userinfo: &off},
		"keycloak": {Scopes: words{"profile", "email"}},
		"okta":     {Scopes: words{"profile", "email", "groups", "offline_access"}},
		// Its roles are an object with a member for each.
		"zitadel": {Scopes: words{"profile", "email", "offline_access"}, GroupsClaim: "urn:zitadel:iam:org:project:roles"},
		// Google refuses offline_access and wants parameters of its own for a refresh token.
		"google": {
			Issuer: "https://accounts.google.com", Scopes: words{"profile", "email"},
			EndpointOrigins: words{"https://oauth2.googleapis.com", "https://openidconnect.googleapis.com", "https://www.googleapis.com"},
			Parameters:      map[string]string{"access_type": "offline", "prompt": "consent"},
		},
		// Its ID tokens say nothing with email_verified; xms_edov is the claim that can be switched on.
		"entra": {
			Scopes: words{"profile", "email", "offline_access"}, VerifiedClaim: "xms_edov", Userinfo: &off,
			EndpointOrigins: words{"https://graph.microsoft.com"},
		},
	}
}

func preset(d SourceDeclaration, whose string, m *Mistakes) SourceDeclaration {
	if d.Preset == "" {
		if len(d.Scopes) == 0 {
			d.Scopes = words{"profile", "email"}
		}
		return d
	}
	p, ok := presets()[d.Preset]
	if !ok {
		m.add("%s: there is no preset %q, only %s", whose, d.Preset, strings.Join(slices.Sorted(maps.Keys(presets())), ", "))
		return d
	}
	d.Issuer, d.VerifiedClaim, d.GroupsClaim = or(d.Issuer, p.Issuer), or(d.VerifiedClaim, p.VerifiedClaim), or(d.GroupsClaim, p.GroupsClaim)
	if len(d.Scopes) == 0 {
		d.Scopes = p.Scopes
	}
	if d.Userinfo == nil {
		d.Userinfo = p.Userinfo
	}
	d.EndpointOrigins = append(d.EndpointOrigins, p.EndpointOrigins...)
	parameters := maps.Clone(p.Parameters)
	for name, value := range d.Parameters {
		if parameters == nil {
			parameters = map[string]string{}
		}
		parameters[name] = value
	}
	d.Parameters = parameters
	return d
}
