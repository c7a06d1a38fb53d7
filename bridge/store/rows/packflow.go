package rows

import "github.com/abilityai/trinity-bridge/bridge"

// Packed, a flow stays below the 2 KB from which on PostgreSQL keeps a value outside of its row, in a table of its own.

func packFlow(p *packer, f *bridge.Flow) {
	text(p, 1, &f.ID)
	p.flag(2, &f.Visit)
	p.hash(3, &f.Browser)
	text(p, 4, &f.Step)
	text(p, 5, &f.Request.ClientID)
	text(p, 6, &f.Request.RedirectURI)
	p.flag(7, &f.Request.RedirectSent)
	text(p, 8, &f.Request.State)
	text(p, 9, &f.Request.CodeChallenge)
	p.hash(10, &f.Request.ProofKey)
	text(p, 11, &f.Request.Resource)
	texts(p, 12, &f.Request.Scopes)
	p.flag(13, &f.Request.Refresh)
	text(p, 14, &f.Request.LoginHint)
	part(p, 15, &f.Request.Client, packDocument)
	text(p, 16, &f.SignIn.Source)
	p.blob(17, &f.SignIn.Trip)
	text(p, 18, &f.SignIn.Mailbox)
	p.time(19, &f.SignIn.CodeSentAt)
	p.count(20, &f.SignIn.Tries)
	p.flag(21, &f.SignIn.SendFailed)
	p.blob(22, &f.SignIn.Challenge)
	p.blob(23, &f.SignIn.Enrolment)
	p.blob(24, &f.SignIn.Recovery)
	p.blob(25, &f.SignIn.Session)
	text(p, 26, &f.SignIn.Person.Source)
	text(p, 27, &f.SignIn.Person.Subject)
	text(p, 28, &f.SignIn.Account.Username)
	text(p, 29, &f.SignIn.Account.Email)
	text(p, 30, &f.SignIn.Account.Role)
	p.time(31, &f.SignIn.At)
	part(p, 32, &f.SignIn.Identity, packIdentity)
	text(p, 33, &f.SignIn.Link)
	p.blob(34, &f.Exit)
	p.time(35, &f.CreatedAt)
	p.time(36, &f.ExpiresAt)
}

// packDocument is packClient for what a document said, which no code was redeemed for.
func packDocument(p *packer, c *bridge.Client) {
	described := client{Client: *c}
	if packClient(p, &described); p.reading {
		*c = described.Client
	}
}

func packIdentity(p *packer, i *bridge.IdentitySession) {
	text(p, 1, &i.ID)
	text(p, 2, &i.Source)
	text(p, 3, &i.Person.Source)
	text(p, 4, &i.Person.Subject)
	text(p, 5, &i.SID)
	p.blob(6, &i.Refresh)
	p.blob(7, &i.IDToken)
	text(p, 8, &i.Admission.Rule)
	texts(p, 9, &i.Admission.Ceiling)
	texts(p, 10, &i.Admission.Profiles)
	parts(p, 11, &i.Admission.ActAs, packActingAs)
	p.time(12, &i.Admission.CheckedAt)
	p.time(13, &i.Admission.FailingSince)
	p.time(14, &i.CreatedAt)
	p.time(15, &i.EndedAt)
	text(p, 16, &i.EndReason)
}

func packActingAs(p *packer, a *bridge.ActingAs) {
	text(p, 1, &a.Kind)
	text(p, 2, &a.Agent)
	text(p, 3, &a.Owner)
}

// part is a record within a record.
func part[T any](p *packer, n byte, v **T, fields func(*packer, *T)) {
	if !p.field(n, *v != nil) {
		return
	}
	own := new(T)
	if !p.reading {
		*own = **v // others may be reading what it points to
	}
	p.within(func() { fields(p, own) })
	if p.reading {
		*v = own
	}
}

// parts is a list of such records.
func parts[T any](p *packer, n byte, v *[]T, fields func(*packer, *T)) {
	if !p.field(n, len(*v) > 0) {
		return
	}
	length := p.length(len(*v))
	if p.reading {
		*v = make([]T, length)
	}
	for i := range *v {
		one := (*v)[i] // as above
		p.within(func() { fields(p, &one) })
		if p.reading {
			(*v)[i] = one
		}
	}
}

func (p *packer) within(fields func()) {
	if !p.old {
		p.record(fields)
		return
	}
	fields()
	p.endOld()
}
