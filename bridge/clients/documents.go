package clients

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

// ErrDocument says that a client's document could not be had or is not good. The reason is for
// the log: a page that told it would let strangers feel around our network (CM-25).
var ErrDocument = errors.New("the client's document cannot be used")

// errUnreadable says that something was fetched that is not what it should be.
var errUnreadable = errors.New("the answer is not what it should be")

// Fetcher fetches from hosts of strangers; *outbound.Guard is the one.
type Fetcher interface {
	Get(ctx context.Context, f outbound.Fetch) (*outbound.Answer, error)
}

// documents knows the clients whose ids are URLs.
type documents struct {
	trust    Trust
	verdicts *verdicts
	pinned   map[string]bridge.Client
	guard    Fetcher
	store    bridge.ClientStore
	copies   *copies[bridge.Client]
	trail    *audit.Trail
	now      func() time.Time
}

// identify returns the client as its document describes it now: pinned, remembered or fetched.
// from is the network of whoever asks.
func (d *documents) identify(ctx context.Context, id, from string) (bridge.Client, error) {
	if d.trust.Policy == PolicyOff {
		return bridge.Client{}, ErrUnknown
	}
	if err := CheckDocumentID(id); err != nil {
		return bridge.Client{}, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	pinned, isPinned := d.pinned[id]
	if err := d.judge(id); err != nil {
		return bridge.Client{}, err
	}
	if isPinned {
		pinned.CreatedAt = d.now()
		return pinned, nil
	}
	if client, fresh := d.copies.fresh(id); fresh {
		return client, nil
	}
	client, err := d.fetch(ctx, id, from)
	if last, ok := d.copies.last(id); errors.Is(err, outbound.ErrBusy) && ok {
		return last, nil // a flood of strange ids must not keep those out whom we know
	}
	return client, err
}

// known returns the client without asking anybody: pinned, or as its document stood when a person
// last allowed it. That is all a token request needs (CM-29).
func (d *documents) known(ctx context.Context, id string) (bridge.Client, error) {
	if d.trust.Policy == PolicyOff || CheckDocumentID(id) != nil {
		return bridge.Client{}, ErrUnknown
	}
	client, isPinned := d.pinned[id]
	if !isPinned {
		var err error
		if client, err = d.store.Client(ctx, id, d.now()); err != nil {
			return bridge.Client{}, err
		}
		if client.Kind != bridge.ClientDocument {
			return bridge.Client{}, ErrUnknown
		}
	}
	return d.judged(client), nil
}

// judged marks a client that the operator has shut out since.
func (d *documents) judged(client bridge.Client) bridge.Client {
	client.Blocked = d.judge(client.ID) != nil
	return client
}

// judge says whether the document of a checked id may be taken, by the settings and by what the operator
// decided since. Being shut out by either counts.
func (d *documents) judge(id string) error {
	_, pinned := d.pinned[id]
	if d.trust.Policy != PolicyOff && d.verdicts.blocks(id) {
		return fmt.Errorf("%w: blocked by command", ErrNotAllowed)
	}
	return d.trust.judge(id, pinned || d.verdicts.allows(id))
}

// again fetches a document anew because somebody signed with a key it did not name, unless that
// was done a moment ago; then it returns no client.
func (d *documents) again(ctx context.Context, id string) (bridge.Client, error) {
	if _, isPinned := d.pinned[id]; isPinned || !d.copies.mayTry(id) {
		return bridge.Client{}, nil
	}
	d.copies.tried(id)
	return d.fetch(ctx, id, "")
}

func (d *documents) fetch(ctx context.Context, id, from string) (bridge.Client, error) {
	answer, err := fetchJSON(ctx, d.guard, id, maxDocumentBytes, from)
	switch {
	case errors.Is(err, outbound.ErrBusy) || err != nil && ctx.Err() != nil:
		return bridge.Client{}, err
	case err != nil:
		return bridge.Client{}, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	client, err := ReadDocument(id, answer.Body)
	if err != nil {
		return bridge.Client{}, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	client.CreatedAt = d.now()
	// The store comes first: a copy that is remembered is a change that was told.
	if before, known := d.copies.before(id); !known || before.Fingerprint != client.Fingerprint {
		if err := d.update(ctx, client); err != nil {
			return bridge.Client{}, err
		}
	}
	d.copies.put(id, client, freshFor(answer.Header, d.now()))
	return client, nil
}

// update brings what is stored of a client with grants up to date, and tells what has changed (B47).
func (d *documents) update(ctx context.Context, client bridge.Client) error {
	stored, err := d.store.Client(ctx, client.ID, d.now())
	if errors.Is(err, bridge.ErrNotFound) || err == nil && stored.Fingerprint == client.Fingerprint {
		return nil
	}
	if err == nil {
		err = d.store.PutClient(ctx, client, d.now())
	}
	if err != nil {
		return fmt.Errorf("updating a client: %w", err)
	}
	d.trail.Record(ctx, bridge.AuditEvent{
		Kind: audit.ClientChanged, ClientID: client.ID, Detail: changes(stored, client),
	})
	return nil
}

// fetchJSON fetches a JSON document; nothing but a 200 of the right type is one (AS-099, AS-100).
func fetchJSON(ctx context.Context, guard Fetcher, address string, maxBytes int, from string) (*outbound.Answer, error) {
	answer, err := guard.Get(ctx, outbound.Fetch{URL: address, MaxBytes: maxBytes, From: from})
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("%w: status %d", errUnreadable, answer.Status)
	}
	types := answer.Header.Values("Content-Type")
	if len(types) != 1 {
		return nil, fmt.Errorf("%w: it has %d content types", errUnreadable, len(types))
	}
	kind, parameters, err := mime.ParseMediaType(types[0])
	suffixed := strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")
	if err != nil || kind != "application/json" && !suffixed {
		return nil, fmt.Errorf("%w: its content type is not JSON", errUnreadable)
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, fmt.Errorf("%w: it is not UTF-8", errUnreadable)
	}
	return answer, nil
}
