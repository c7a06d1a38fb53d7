package clients

import (
	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Provider is an organization's identity provider, whose word the operator takes for who somebody
// is: it signs identity assertions (ID-JAG) that clients bring here.
type Provider struct {
	Issuer              string
	TenantClaim, Tenant string         // both or neither: one tenant of a provider with several
	Algorithms          []string       // it signs with
	Keys                bridge.Client  // holds its key set, or the place of it, and nothing else
	Clients             []string       // that may bring its assertions
	Scopes              bridge.Scopes  // the most that is given for them
	People              []LinkedPerson // whom it may speak of
}

// LinkedPerson is a person at the provider and the Trinity key their calls run with.
type LinkedPerson struct {
	Subject string
	Key     secret.Token
}

// Person is the identity of a subject (EX-11): issuers and tenants share none.
func (p Provider) Person(subject string) bridge.Person {
	source := p.Issuer
	if p.Tenant != "" {
		source += " " + p.Tenant // no issuer has a blank
	}
	return bridge.Person{Source: source, Subject: subject}
}

// Key is the Trinity key of a subject, and whether it is linked to one.
func (p Provider) Key(subject string) (secret.Token, bool) {
	for _, person := range p.People {
		if person.Subject == subject {
			return person.Key, true
		}
	}
	return secret.Token{}, false
}
