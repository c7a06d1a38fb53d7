package bridge

// What is sealed by itself under the master secret, inside of records that are sealed as a whole under
// the store's row key: what opens people's Trinity, and signing keys. The kind and the row are what a
// value is bound to.
const (
	SealedKey           = "grant key" // of a grant, a link, or one that waits to be revoked
	SealedSession       = "flow session"
	SealedChallenge     = "flow challenge"
	SealedEnrolment     = "flow enrolment"
	SealedRecovery      = "flow recovery codes"
	SealedTrip          = "flow trip"
	SealedExit          = "flow exit"
	SealedIdentity      = "identity refresh"
	SealedIdentityToken = "identity token"
	SealedSigningKey    = "signing key"
	SealedDeployment    = "deployment"
	SealedRowKey        = "row key" // of no row: what a store's rows are sealed under
)

// SealedValue is one of them in its record.
type SealedValue struct {
	Kind, Row string
	In        *[]byte
}

// filled leaves out the values a record does not have.
func filled(values ...SealedValue) []SealedValue {
	var there []SealedValue
	for _, value := range values {
		if len(*value.In) > 0 {
			there = append(there, value)
		}
	}
	return there
}

// SealedValues are those of a flow, and of the identity session it carries.
func (f *Flow) SealedValues() []SealedValue {
	values := filled(
		SealedValue{SealedTrip, f.ID, &f.SignIn.Trip}, SealedValue{SealedChallenge, f.ID, &f.SignIn.Challenge},
		SealedValue{SealedEnrolment, f.ID, &f.SignIn.Enrolment}, SealedValue{SealedRecovery, f.ID, &f.SignIn.Recovery},
		SealedValue{SealedSession, f.ID, &f.SignIn.Session}, SealedValue{SealedExit, f.ID, &f.Exit},
	)
	if f.SignIn.Identity != nil {
		values = append(values, f.SignIn.Identity.SealedValues()...)
	}
	return values
}

// SealedValues is the grant's key.
func (g *Grant) SealedValues() []SealedValue {
	return filled(SealedValue{SealedKey, g.ID, &g.Credential.Sealed})
}

// SealedValues is the link's key.
func (l *Link) SealedValues() []SealedValue {
	return filled(SealedValue{SealedKey, l.ID, &l.Credential.Sealed})
}

// SealedValues is the key to be revoked.
func (r *KeyRevocation) SealedValues() []SealedValue {
	return filled(SealedValue{SealedKey, r.GrantID, &r.Credential.Sealed})
}

// SealedValues are the provider's tokens.
func (s *IdentitySession) SealedValues() []SealedValue {
	return filled(SealedValue{SealedIdentity, s.ID, &s.Refresh}, SealedValue{SealedIdentityToken, s.ID, &s.IDToken})
}

// SealedValues is the private part.
func (k *SigningKey) SealedValues() []SealedValue {
	return filled(SealedValue{SealedSigningKey, k.ID, &k.Private})
}

// SealedValues is the check of the secret.
func (d *Deployment) SealedValues() []SealedValue {
	return filled(SealedValue{SealedDeployment, d.ID, &d.SealCheck})
}
