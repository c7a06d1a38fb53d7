package clients

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Policy says whose documents are taken (AS-113).
type Policy string

// The policies.
const (
	PolicyOpen Policy = "open"       // everybody's but those of blocked hosts
	PolicyAsk  Policy = "ask"        // those on the list; the page for others says what the operator has to allow
	PolicyList Policy = "allow-list" // those on the list
	PolicyOff  Policy = "off"        // nobody's
)

// Policies are all policies, the default first.
func Policies() []Policy { return []Policy{PolicyOpen, PolicyAsk, PolicyList, PolicyOff} }

// Trust is the operator's word on documents. Entries are a host name, "*." and a name for all
// below it, or a whole client id.
type Trust struct {
	Policy  Policy
	Hosts   []string // let in by PolicyAsk and PolicyList
	Blocked []string // never let in, whatever else is said
}

// ProblemAsk is the audit trail's word for who was refused with ErrAskOperator.
const ProblemAsk = "client-ask"

var (
	// ErrNotAllowed says that the operator lets the client's document not in.
	ErrNotAllowed = errors.New("the operator does not let the client in")
	// ErrAskOperator says the same of a client nobody has decided about.
	ErrAskOperator = errors.New("the operator has not let the client in yet")
)

// unlisted is an ErrAskOperator that names the host.
type unlisted struct{ host string }

func (u unlisted) Error() string { return ErrAskOperator.Error() + ": " + u.host }
func (u unlisted) Unwrap() error { return ErrAskOperator }

// HostToAllow is the host an ErrAskOperator is about; "" for other errors.
func HostToAllow(err error) string {
	var u unlisted
	errors.As(err, &u)
	return u.host
}

// CheckTrustEntry says why an entry of a list can match nothing, or returns nil.
func CheckTrustEntry(entry string) error {
	if looksLikeURL(entry) {
		return CheckDocumentID(entry)
	}
	host := strings.TrimPrefix(entry, "*.")
	if !plainHost(host) || strings.ToLower(host) != host || strings.HasSuffix(host, ".") {
		return fmt.Errorf("%q is neither a host name in lower case nor a client id", entry)
	}
	return nil
}

// judge says whether the document of a checked id may be taken; allowed is one that is let in by other
// means than the list.
func (t Trust) judge(id string, allowed bool) error {
	switch listed := allowed || covers(t.Hosts, id); {
	case t.Policy == PolicyOff:
		return ErrUnknown
	case covers(t.Blocked, id):
		return fmt.Errorf("%w: blocked", ErrNotAllowed)
	case listed || t.Policy == PolicyOpen:
		return nil
	case t.Policy == PolicyAsk:
		return unlisted{documentHost(id)}
	}
	return fmt.Errorf("%w: %s is not on the list", ErrNotAllowed, documentHost(id))
}

func covers(list []string, id string) bool {
	host := documentHost(id)
	if port := strings.LastIndexByte(host, ':'); port > strings.LastIndexByte(host, ']') {
		host = host[:port]
	}
	host = strings.Trim(host, "[]")
	return slices.ContainsFunc(list, func(entry string) bool {
		below, wild := strings.CutPrefix(entry, "*")
		return entry == id || entry == host || wild && strings.HasSuffix(host, below)
	})
}
