// Package oidc is an identity source at a company's OpenID provider.
//
// The browser goes away with Depart and comes back to Return, which redeems the provider's code,
// checks everything that came with it and says who the person is:
//
//	Depart: discovery → state, nonce, PKCE → the provider's page
//	Return: iss, code → token endpoint → ID token → userinfo → federation.Identity
//
// The protocol is go-oidc's and x/oauth2's; what is here is what they leave open or to the caller:
// which hosts may be asked (fixed by the configuration, FB-26), the issuer byte by byte, tenants,
// the audience exactly, times with a minute of leeway, sizes. A provider that is down at start does
// no harm: it is asked when somebody goes there, and again the next time.
//
// Neighbours: federation (the interface it fulfils, the steps around it), bridge/outbound (the only
// way out). What the claims are worth is bridge/admission's business.
package oidc
