package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clients"
)

const (
	countedGrants = 10_000 // looked at for a list of clients
	recentEvents  = 2_000  // looked at for who has asked to be let in
)

// ListedClient is a client, or an entry the operator decided about, as the operator sees it.
type ListedClient struct {
	ID          string        `json:"id"` // a client id, or a host name
	Name        string        `json:"name,omitempty"`
	State       clients.State `json:"state"`
	Connections int           `json:"connections"` // live ones
	DecidedAt   *time.Time    `json:"decided_at,omitempty"`
	AskedAt     *time.Time    `json:"asked_at,omitempty"` // when somebody last wanted to connect it in vain
}

// KnownClients are the clients a bridge knows of. Partly says that there are more connections than the newest, which
// were Looked at: clients that only older ones belong to are not among them, and older ones are not counted.
type KnownClients struct {
	Clients []ListedClient `json:"clients"`
	Looked  int            `json:"looked"`
	Partly  bool           `json:"partly"`
}

// ListClients asks the running bridge of a data folder for the clients it knows of.
func ListClients(ctx context.Context, data string) (known KnownClients, err error) {
	return known, callOperator(ctx, data, http.MethodGet, "/clients", nil, &known)
}

// DecideClient has the running bridge of a data folder let an entry's clients in, or shut them out.
func DecideClient(ctx context.Context, data, entry string, allowed bool) (ListedClient, error) {
	path := "/clients/block"
	if allowed {
		path = "/clients/allow"
	}
	var client ListedClient
	return client, callOperator(ctx, data, http.MethodPost, path, url.Values{"entry": {entry}}, &client)
}

// decideClient serves both decisions.
func (o *operator) decideClient(allowed bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		verdict, err := o.clients.Decide(r.Context(), r.URL.Query().Get("entry"), allowed)
		switch {
		case errors.Is(err, clients.ErrEntry):
			refuse(w, http.StatusBadRequest, "Name a host such as claude.ai, *.example.com, or a whole client id")
			return
		case errors.Is(err, bridge.ErrFull):
			refuse(w, http.StatusConflict, "There are too many decisions: write them into the settings file")
			return
		case err != nil:
			o.failed(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(ListedClient{ID: verdict.Entry, State: o.stateOf(verdict.Entry), DecidedAt: &verdict.DecidedAt})
	}
}

// stateOf is the state of a client, or of whatever document a host might show. A blocked part of what an
// entry covers is not seen in it.
func (o *operator) stateOf(entry string) clients.State {
	for _, verdict := range o.clients.Verdicts() {
		if verdict.Entry != entry {
			continue
		}
		if verdict.Allowed {
			return clients.StateIn
		}
		return clients.StateBlocked
	}
	return o.clients.State(entry)
}

func (o *operator) listClients(w http.ResponseWriter, r *http.Request) {
	listed, err := o.knownClients(r.Context())
	if err != nil {
		o.failed(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(listed)
}

// knownClients are those that asked to be let in, those decided about, the configured ones, and those
// that people have connected; the ones that wait for a decision first.
func (o *operator) knownClients(ctx context.Context) (KnownClients, error) {
	known := map[string]*ListedClient{}
	of := func(id string) *ListedClient {
		if known[id] == nil {
			known[id] = &ListedClient{ID: id, State: o.stateOf(id)}
		}
		return known[id]
	}
	for _, verdict := range o.clients.Verdicts() {
		of(verdict.Entry).DecidedAt = &verdict.DecidedAt
	}
	for _, client := range o.clients.Configured() {
		of(client.ID).Name = client.Name
	}
	looked, partly, err := o.countConnections(ctx, of)
	if err != nil {
		return KnownClients{}, err
	}
	o.trail.Flush(ctx) // what was refused a moment ago is to be in the list
	events, err := o.store.AuditTrail(ctx, "", recentEvents)
	if err != nil {
		return KnownClients{}, err
	}
	for _, event := range events { // newest first
		if event.Kind != audit.AuthorizeRejected || event.Outcome != clients.ProblemAsk || event.ClientID == "" {
			continue
		}
		if client := of(event.ClientID); client.AskedAt == nil {
			client.AskedAt = &event.At
		}
	}
	listed := make([]ListedClient, 0, len(known))
	for _, client := range known {
		listed = append(listed, *client)
	}
	slices.SortFunc(listed, func(a, b ListedClient) int {
		if first, second := a.State == clients.StateAsks, b.State == clients.StateAsks; first != second {
			if first {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	return KnownClients{Clients: listed, Looked: looked, Partly: partly}, nil
}

// countConnections counts live grants by client, among so many grants as it says, and whether there are more.
func (o *operator) countConnections(ctx context.Context, of func(id string) *ListedClient) (looked int, partly bool, err error) {
	after := ""
	for looked < countedGrants {
		grants, err := o.store.Grants(ctx, "", "", after, defaultListed)
		if err != nil {
			return looked, true, err
		}
		looked += len(grants)
		for _, grant := range grants {
			if !grant.Alive(o.now()) {
				continue
			}
			client := of(grant.ClientID)
			client.Connections++
			if client.Name == "" {
				client.Name = grant.ClientName
			}
		}
		if len(grants) < defaultListed {
			return looked, false, nil
		}
		after = grants[len(grants)-1].ID
	}
	return looked, true, nil
}
