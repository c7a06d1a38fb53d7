package app

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"golang.org/x/sync/errgroup"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
	"github.com/abilityai/trinity-bridge/federation/trinity"
)

const (
	operatorFile  = "operator.json"
	pathProof     = "/proof"
	defaultListed = 100
	revokedAtOnce = 32
)

// operator serves the operator's port: health for everybody who reaches it, the commands' calls
// only to who can read the data folder. The store has one owner, so commands ask the running program.
type operator struct {
	store   bridge.Store
	trail   *audit.Trail
	log     *slog.Logger
	now     func() time.Time
	ready   func(context.Context) error
	ended   func()
	keys    *token.Signer
	clients *clients.Registry
	linker  *trinity.Linker
	sources []config.Source
	metrics http.Handler
	token   secret.Token
	handler http.Handler
	file    string
	word    []byte // what this bridge wrote there
}

// Operator is how a command reaches the running program: the content of operator.json in the
// data folder, mode 0600, new at each start.
type Operator struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

// ListedGrant is a grant as the operator sees it: no secret, sealed or not.
type ListedGrant struct {
	ID         string             `json:"id"`
	Status     bridge.GrantStatus `json:"status"`
	Account    string             `json:"account"`
	PersonID   string             `json:"person_id"`
	Client     string             `json:"client"`
	ClientID   string             `json:"client_id"`
	Resource   string             `json:"resource"`
	Scope      string             `json:"scope"`
	ActingAs   bridge.ActingKind  `json:"acting_as"`
	Agent      string             `json:"agent,omitempty"` // it acts as
	KeyName    string             `json:"key_name"`
	CreatedAt  time.Time          `json:"created_at"`
	LastUsedAt *time.Time         `json:"last_used_at,omitempty"`
	EndedAt    *time.Time         `json:"ended_at,omitempty"`
	EndReason  bridge.EndReason   `json:"end_reason,omitempty"`
}

// revoked is what became of grants that were to end.
type revoked struct {
	Ended  []ListedGrant `json:"ended"`
	Failed string        `json:"failed,omitempty"` // why one of them did not
}

func (o *operator) mount() error {
	var err error
	if o.token, err = secret.Random(rand.Reader, ""); err != nil {
		return err
	}
	r := mux.NewRouter().SkipClean(true)
	r.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	r.HandleFunc("/readyz", o.readyz)
	r.HandleFunc(pathProof, o.prove).Methods(http.MethodGet)
	r.Handle("/metrics", o.metrics)
	r.HandleFunc("/grants", o.own(o.list)).Methods(http.MethodGet)
	r.HandleFunc("/grants/one", o.own(o.one)).Methods(http.MethodGet)
	r.HandleFunc("/grants/revoke", o.own(o.revoke)).Methods(http.MethodPost)
	r.HandleFunc("/clients", o.own(o.listClients)).Methods(http.MethodGet)
	r.HandleFunc("/clients/allow", o.own(o.decideClient(true))).Methods(http.MethodPost)
	r.HandleFunc("/clients/block", o.own(o.decideClient(false))).Methods(http.MethodPost)
	r.HandleFunc("/links", o.own(o.listLinks)).Methods(http.MethodGet)
	r.HandleFunc("/links/end", o.own(o.endLink)).Methods(http.MethodPost)
	r.HandleFunc("/links/import", o.own(o.importLinks)).Methods(http.MethodPost)
	r.HandleFunc("/keys", o.own(o.listKeys)).Methods(http.MethodGet)
	r.HandleFunc("/keys/rotate", o.own(o.rotateKeys)).Methods(http.MethodPost)
	r.HandleFunc("/keys/reseal", o.own(o.reseal)).Methods(http.MethodPost)
	r.HandleFunc("/store/backup", o.own(o.backup)).Methods(http.MethodGet)
	r.HandleFunc("/store/verify", o.own(o.verify)).Methods(http.MethodGet)
	r.HandleFunc("/store/stats", o.own(o.stats)).Methods(http.MethodGet)
	r.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "There is nothing at this path")
	})
	o.handler = r
	return nil
}

// announce writes operator.json; withdraw removes it, unless it has another bridge's word by now: on a database nothing
// keeps two from being started on one data folder.
func (o *operator) announce(data, address string) error {
	o.file = filepath.Join(data, operatorFile)
	var err error
	if o.word, err = json.Marshal(Operator{Address: address, Token: o.token.Reveal()}); err != nil {
		return fmt.Errorf("writing %s: %w", o.file, err)
	}
	if err := os.Remove(o.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replacing %s: %w", o.file, err)
	}
	if err := os.WriteFile(o.file, o.word, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", o.file, err)
	}
	return nil
}

func (o *operator) withdraw() {
	if o.file == "" {
		return
	}
	if word, err := os.ReadFile(o.file); err == nil && bytes.Equal(word, o.word) {
		_ = os.Remove(o.file)
	}
}

func (o *operator) readyz(w http.ResponseWriter, r *http.Request) {
	if err := o.ready(r.Context()); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintf(w, "not ready: %v\n", err)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// prove shows a command that this is the bridge which wrote operator.json, to which alone it then tells the token.
func (o *operator) prove(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write(proof(o.token, r.URL.Query().Get("nonce")))
}

// proof is what only who knows the token can answer to a nonce.
func proof(token secret.Token, nonce string) []byte {
	mac := hmac.New(sha256.New, []byte(token.Reveal()))
	mac.Write([]byte("this bridge\x00" + nonce))
	return []byte(hex.EncodeToString(mac.Sum(nil)))
}

// own lets a command of this data folder's owner through, and no web page: a browser cannot know the token.
func (o *operator) own(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		presented, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		want := o.token.Hash()
		got := bridge.HashOf(presented)
		if !ok || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			refuse(w, http.StatusUnauthorized, "Only the operator's commands may ask this")
			return
		}
		next(w, r)
	}
}

func (o *operator) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	grants, err := o.store.Grants(r.Context(), query.Get("person"), query.Get("client"), query.Get("after"), defaultListed)
	if err != nil {
		o.noGrant(w, r, err)
		return
	}
	listed := make([]ListedGrant, 0, len(grants))
	for _, grant := range grants {
		listed = append(listed, listedGrant(grant))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(listed)
}

func (o *operator) one(w http.ResponseWriter, r *http.Request) {
	grant, err := o.store.Grant(r.Context(), r.URL.Query().Get("id"))
	if err != nil {
		o.noGrant(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(listedGrant(grant))
}

func (o *operator) noGrant(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, bridge.ErrNotFound) {
		refuse(w, http.StatusNotFound, "There is no such grant")
		return
	}
	o.failed(w, r, err)
}

// revoke ends some grants, several at once: the store syncs ends that come together once. What keeps it from one is said
// beside those that are over.
func (o *operator) revoke(w http.ResponseWriter, r *http.Request) {
	ids := r.URL.Query()["id"]
	if len(ids) == 0 || len(ids) > defaultListed {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("Name 1 to %d grants", defaultListed))
		return
	}
	over, ctx := make([]*bridge.Grant, len(ids)), r.Context()
	var ends errgroup.Group
	ends.SetLimit(revokedAtOnce)
	for i, id := range ids {
		ends.Go(func() error {
			grant, err := o.end(ctx, id)
			if err == nil {
				over[i] = &grant
			}
			return err
		})
	}
	var answer revoked
	switch err := ends.Wait(); {
	case errors.Is(err, bridge.ErrNotFound):
		answer.Failed = err.Error()
	case err != nil:
		o.log.ErrorContext(ctx, "a grant could not be ended", "error", err)
		answer.Failed = "The store did not answer, see the log"
	}
	for _, grant := range over {
		if grant != nil {
			answer.Ended = append(answer.Ended, listedGrant(*grant))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (o *operator) end(ctx context.Context, id string) (bridge.Grant, error) {
	grant, ended, err := o.store.EndGrant(ctx, id, bridge.EndRevokedByOperator, o.now())
	if err != nil {
		return bridge.Grant{}, fmt.Errorf("grant %s: %w", id, err)
	}
	if ended {
		o.trail.Record(ctx, bridge.AuditEvent{
			Kind: audit.GrantEnded, GrantID: grant.ID, ClientID: grant.ClientID, PersonID: grant.Person.ID(),
			Outcome: string(bridge.EndRevokedByOperator),
		})
		o.ended()
	}
	return grant, nil
}

func (o *operator) failed(w http.ResponseWriter, r *http.Request, err error) {
	o.log.ErrorContext(r.Context(), "an operator's call failed", "path", r.URL.Path, "error", err)
	refuse(w, http.StatusServiceUnavailable, "The store did not answer, see the log")
}

func listedGrant(g bridge.Grant) ListedGrant {
	listed := ListedGrant{
		ID: g.ID, Status: g.Status, Account: g.Account.Username, PersonID: g.Person.ID(), Client: g.ClientName, ClientID: g.ClientID,
		Resource: g.Resource, Scope: g.Scopes.String(), ActingAs: g.ActingAs.Kind, Agent: g.ActingAs.Agent, KeyName: g.Credential.KeyName, CreatedAt: g.CreatedAt, EndReason: g.EndReason,
	}
	if !g.LastUsedAt.IsZero() {
		listed.LastUsedAt = &g.LastUsedAt
	}
	if !g.EndedAt.IsZero() {
		listed.EndedAt = &g.EndedAt
	}
	return listed
}
