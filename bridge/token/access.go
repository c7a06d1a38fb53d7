package token

import (
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Access is what an access token says (RFC 9068 §2.2).
type Access struct {
	ID        string        // jti
	PersonID  string        // sub: opaque and stable
	ClientID  string        // client_id
	GrantID   string        // gid: our own claim
	Resource  string        // aud: exactly one
	Scopes    bridge.Scopes // scope
	IssuedAt  time.Time     // iat
	ExpiresAt time.Time     // exp
}

// Use is what the token says of its grant.
func (a Access) Use() bridge.TokenUse {
	return bridge.TokenUse{ID: a.ID, ClientID: a.ClientID, PersonID: a.PersonID, Resource: a.Resource}
}
