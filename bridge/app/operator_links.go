package app

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"time"

	strict "github.com/go-json-experiment/json"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/federation/trinity"
)

const (
	maxImportBytes = 256 << 10 // a command sends so much at a time
	importAtOnce   = 10        // each takes two questions to Trinity, and a command waits 10 s
)

// ListedLink is a link as the operator sees it: no secret, sealed or not.
type ListedLink struct {
	ID        string            `json:"id"`
	Issuer    string            `json:"issuer"`
	Subject   string            `json:"subject"`
	PersonID  string            `json:"person_id"`
	Account   string            `json:"account"`
	Made      bridge.LinkOrigin `json:"made"`
	KeyName   string            `json:"key_name"`
	CreatedAt time.Time         `json:"created_at"`
	EndedAt   *time.Time        `json:"ended_at,omitempty"`
	EndReason bridge.EndReason  `json:"end_reason,omitempty"`
	Ended     int               `json:"connections_ended,omitempty"` // by ending it
}

// LinkRow is one person to be linked with a key.
type LinkRow struct {
	Line     int    `json:"line"`
	Source   string `json:"source"`
	Subject  string `json:"subject"`
	Username string `json:"username"` // whose key it has to be
	Key      string `json:"key"`
}

// The results of importing a line.
const (
	ImportGood     = "good"   // it would be stored
	ImportStored   = "stored" // it is
	ImportLinked   = "already linked"
	ImportNoSource = "there is no such identity source, or it has several tenants: name the issuer"
	ImportEmpty    = "a field is empty"
	ImportNoKey    = "the key is not a trinity_mcp_ key"
	ImportRefused  = "Trinity does not take the key"
	ImportOwner    = "the key belongs to another account"
	ImportKind     = "the key is not one of a person"
	ImportUnknown  = "Trinity did not answer"
)

// ImportedLink is what became of a line.
type ImportedLink struct {
	Line    int    `json:"line"`
	Source  string `json:"source"`
	Subject string `json:"subject"`
	Account string `json:"account"`
	Outcome string `json:"outcome"`
}

// Fine reports whether nothing is left to do about the line.
func (l ImportedLink) Fine() bool {
	return slices.Contains([]string{ImportGood, ImportStored, ImportLinked}, l.Outcome)
}

func (o *operator) listLinks(w http.ResponseWriter, r *http.Request) {
	links, err := o.store.Links(r.Context(), r.URL.Query().Get("after"), defaultListed)
	if errors.Is(err, bridge.ErrNotFound) {
		refuse(w, http.StatusNotFound, "There is no such link")
		return
	}
	if err != nil {
		o.failed(w, r, err)
		return
	}
	listed := make([]ListedLink, 0, len(links))
	for _, link := range links {
		listed = append(listed, listedLink(link))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(listed)
}

func (o *operator) endLink(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	ended, err := o.linker.End(r.Context(), id, bridge.EndRevokedByOperator)
	if errors.Is(err, bridge.ErrNotFound) {
		refuse(w, http.StatusNotFound, "There is no such link")
		return
	}
	var link bridge.Link
	if err == nil {
		link, err = o.store.Link(r.Context(), id)
	}
	if err != nil {
		o.failed(w, r, err)
		return
	}
	listed := listedLink(link)
	listed.Ended = len(ended)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(listed)
}

// importLinks tries lines at Trinity and, unless it is a dry run, stores the good ones.
func (o *operator) importLinks(w http.ResponseWriter, r *http.Request) {
	var rows []LinkRow
	if err := strict.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxImportBytes), &rows); err != nil {
		refuse(w, http.StatusBadRequest, "The links cannot be read")
		return
	}
	dry := r.URL.Query().Get("dry") == "true"
	results := make([]ImportedLink, 0, len(rows))
	for _, row := range rows {
		result := ImportedLink{Line: row.Line, Source: row.Source, Subject: row.Subject, Account: row.Username}
		var err error
		if result.Outcome, err = o.importLink(r.Context(), row, dry); err != nil {
			o.failed(w, r, err)
			return
		}
		results = append(results, result)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(results)
}

// importLink says what becomes of one line; an error is the store's.
func (o *operator) importLink(ctx context.Context, row LinkRow, dry bool) (string, error) {
	issuer, known := issuerOf(o.sources, row.Source)
	if !known {
		return ImportNoSource, nil
	}
	if row.Subject == "" || row.Username == "" {
		return ImportEmpty, nil
	}
	key, err := secret.ParseTrinityKey(row.Key)
	if err != nil {
		return ImportNoKey, nil //nolint:nilerr // it is the answer
	}
	person := bridge.Person{Source: issuer, Subject: row.Subject}
	if _, err := o.store.LinkOf(ctx, person.ID()); err == nil {
		return ImportLinked, nil
	} else if !errors.Is(err, bridge.ErrNotFound) {
		return "", err
	}
	if dry {
		_, _, err = o.linker.Check(ctx, key, row.Username)
	} else {
		var outcome bridge.LinkOutcome
		_, outcome, err = o.linker.ByKey(ctx, person, key, bridge.LinkByImport, row.Username)
		if outcome == bridge.LinkExists {
			return ImportLinked, nil
		}
	}
	switch {
	case errors.Is(err, trinity.ErrKeyRefused):
		return ImportRefused, nil
	case errors.Is(err, trinity.ErrKeyOwner):
		return ImportOwner, nil
	case errors.Is(err, trinity.ErrKeyKind):
		return ImportKind, nil
	case errors.Is(err, trinity.ErrUnavailable), errors.Is(err, trinity.ErrForbidden):
		return ImportUnknown, nil
	case err != nil:
		return "", err
	case dry:
		return ImportGood, nil
	}
	return ImportStored, nil
}

// issuerOf is the issuer that a line means by a source's name, or by an issuer itself, of a tenant
// where the source has several.
func issuerOf(sources []config.Source, word string) (string, bool) {
	for _, source := range sources {
		switch {
		case len(source.Tenants) == 0 && source.Name == word:
			return source.Issuer, true
		case issues(source, word):
			return word, true
		}
	}
	return "", false
}

func listedLink(l bridge.Link) ListedLink {
	listed := ListedLink{
		ID: l.ID, Issuer: l.Person.Source, Subject: l.Person.Subject, PersonID: l.Person.ID(), Account: l.Account.Username,
		Made: l.Made, KeyName: l.Credential.KeyName, CreatedAt: l.CreatedAt, EndReason: l.EndReason,
	}
	if !l.EndedAt.IsZero() {
		listed.EndedAt = &l.EndedAt
	}
	return listed
}

// ListLinks asks the running bridge of a data folder for all its links, newest first. An error ends the list.
func ListLinks(ctx context.Context, data string) iter.Seq2[ListedLink, error] {
	return pages(ctx, data, "/links", url.Values{}, func(l ListedLink) string { return l.ID })
}

// EndLink has the running bridge of a data folder end a link.
func EndLink(ctx context.Context, data, id string) (ListedLink, error) {
	var link ListedLink
	return link, callOperator(ctx, data, http.MethodPost, "/links/end", url.Values{"id": {id}}, &link)
}

// ImportLinks has the running bridge of a data folder try lines, and store the good ones unless it is
// a dry run.
func ImportLinks(ctx context.Context, data string, rows []LinkRow, dry bool) ([]ImportedLink, error) {
	query := url.Values{}
	if dry {
		query.Set("dry", "true")
	}
	operator, err := reachOperator(ctx, data, operatorTimeout)
	if err != nil {
		return nil, err
	}
	var all []ImportedLink
	for some := range slices.Chunk(rows, importAtOnce) {
		body, err := json.Marshal(some)
		if err != nil {
			return nil, err //nolint:wrapcheck // texts
		}
		var results []ImportedLink
		if err := operator.call(ctx, http.MethodPost, "/links/import", query, body, &results); err != nil {
			return nil, err
		}
		all = append(all, results...)
	}
	return all, nil
}
