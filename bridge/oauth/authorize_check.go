package oauth

import (
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	digestChars   = 43 // base64url of a SHA-256
	maxScopeBytes = 1 << 10
	maxHintBytes  = 254
)

// check turns the parameters of an identified client into a request a flow can carry.
func (a *Authorize) check(request asked) (bridge.AuthorizationRequest, error) {
	p := request.params
	for _, rule := range []func(parameters) error{
		checkOnce, checkRequestObjects, checkResponse, checkState, checkChallenge, checkPrompt,
	} {
		if err := rule(p); err != nil {
			return bridge.AuthorizationRequest{}, err
		}
	}
	proofKey, err := a.Proofs.named(p.get(paramProofKey))
	if err != nil {
		return bridge.AuthorizationRequest{}, err
	}
	resource, err := namedResource(p["resource"], a.Resources)
	if err != nil {
		return bridge.AuthorizationRequest{}, err
	}
	if resource.URL == "" {
		resource = a.Resources.Default() // MCP 2025-03-26 names none; the token opens no other (AS-040)
	}
	scopes, offline, err := checkScope(p.get("scope"), request.client, resource)
	if err != nil {
		return bridge.AuthorizationRequest{}, err
	}
	if !request.client.MayUse(bridge.GrantTypeCode) {
		return bridge.AuthorizationRequest{}, bridge.Refuse("unauthorized_client", "The client may not use this grant")
	}
	hint := p.get("login_hint")
	if len(hint) > maxHintBytes {
		hint = ""
	}
	var described *bridge.Client
	if request.client.Kind == bridge.ClientDocument {
		described = &request.client
	}
	return bridge.AuthorizationRequest{
		Client: described, ClientID: request.client.ID, RedirectURI: request.redirect, RedirectSent: p.get("redirect_uri") != "",
		State: p.get("state"), CodeChallenge: p.get("code_challenge"), ProofKey: proofKey, Resource: resource.URL, Scopes: scopes,
		Refresh: offline || request.client.MayUse(bridge.GrantTypeRefresh), LoginHint: hint,
	}, nil
}

func checkOnce(p parameters) error {
	if p.duplicate() {
		return bridge.Refuse(invalidRequest, "A parameter stands more than once")
	}
	return nil
}

func checkRequestObjects(p parameters) error {
	switch {
	case p.get("request") != "":
		return bridge.Refuse("request_not_supported", "Request objects are not supported")
	case p.get("request_uri") != "":
		return bridge.Refuse("request_uri_not_supported", "Request objects are not supported")
	}
	return nil
}

func checkResponse(p parameters) error {
	switch kind := p.get("response_type"); {
	case kind == "":
		return bridge.Refuse(invalidRequest, "response_type is missing")
	case kind != "code":
		return bridge.Refuse("unsupported_response_type", "Only the response type code is supported")
	}
	if mode := p.get("response_mode"); mode != "" && mode != "query" {
		return bridge.Refuse(invalidRequest, "Only the response mode query is supported")
	}
	return nil
}

func checkState(p parameters) error {
	if len(p.get("state")) > maxStateBytes {
		return bridge.Refuse(invalidRequest, "state is longer than %d bytes", maxStateBytes)
	}
	return nil
}

// checkChallenge demands PKCE with S256 from every client (AS-030…AS-032).
func checkChallenge(p parameters) error {
	challenge := p.get("code_challenge")
	switch {
	case challenge == "":
		return bridge.Refuse(invalidRequest, "code_challenge is missing")
	case p.get("code_challenge_method") != "S256":
		return bridge.Refuse(invalidRequest, "code_challenge_method has to be S256")
	case !isDigest(challenge):
		return bridge.Refuse(invalidRequest, "code_challenge is not 43 base64url characters")
	}
	return nil
}

// isDigest reports whether a parameter has the form of a SHA-256 (RFC 7636 §4.2, RFC 9449 §10).
func isDigest(text string) bool {
	return len(text) == digestChars && strings.Trim(text, base64urlAlphabet) == ""
}

const base64urlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// checkPrompt refuses silence: a person decides every time. Other values ask for what happens anyway.
func checkPrompt(p parameters) error {
	values := strings.Fields(p.get("prompt"))
	for _, value := range values {
		if value != "none" {
			continue
		}
		if len(values) > 1 {
			return bridge.Refuse(invalidRequest, "prompt none stands alone")
		}
		return bridge.Refuse("interaction_required", "The person has to sign in and decide")
	}
	return nil
}

// checkScope narrows what was asked to what exists, and to what the client may have and the resource
// has a use for; without a scope the baseline is meant (AS-034, AS-035). Nothing is granted by it: the person sees it first.
func checkScope(parameter string, client bridge.Client, resource bridge.Resource) (scopes bridge.Scopes, offline bool, err error) {
	if len(parameter) > maxScopeBytes || strings.ContainsFunc(parameter, notScopeChar) {
		return nil, false, bridge.Refuse("invalid_scope", "The scope holds what no scope may hold")
	}
	scopes, unknown := bridge.ParseScopes(parameter)
	if len(scopes) == 0 {
		if unknown > 0 {
			return nil, false, bridge.Refuse("invalid_scope", "None of the scopes is known here")
		}
		scopes = bridge.BaselineScopes()
	}
	if len(client.Scopes) > 0 {
		if scopes = scopes.Intersect(client.Scopes); len(scopes) == 0 {
			return nil, false, bridge.Refuse("invalid_scope", "The client may not have these scopes")
		}
	}
	if scopes = scopes.Intersect(resource.Scopes); len(scopes) == 0 {
		return nil, false, bridge.Refuse("invalid_scope", "The resource has no use for these scopes")
	}
	for _, word := range strings.Fields(parameter) {
		offline = offline || word == string(bridge.ScopeOfflineAccess)
	}
	return scopes, offline, nil
}

// notScopeChar tells characters outside RFC 6749 §3.3. Blanks of any number separate (B53).
func notScopeChar(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }
