package clients

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
)

const (
	verdictsEvery  = time.Second // how soon a replica learns of another's
	verdictsWithin = 5 * time.Second
	verdictTries   = 16
)

// ErrEntry says that an entry can match no client.
var ErrEntry = errors.New("the entry is neither a host name nor a client id")

// verdicts are the operator's decisions while the program runs. They are read from memory, so that
// every call can be held against them.
type verdicts struct {
	store   bridge.VerdictStore // nil: nobody decides anything
	trail   *audit.Trail
	now     func() time.Time
	current atomic.Pointer[verdictSet]
}

// verdictSet never changes.
type verdictSet struct {
	rev              int
	list             []bridge.Verdict
	allowed, blocked []string
}

func newVerdicts(store bridge.VerdictStore, trail *audit.Trail, now func() time.Time) *verdicts {
	v := &verdicts{store: store, trail: trail, now: now}
	v.current.Store(&verdictSet{})
	return v
}

func (v *verdicts) allows(id string) bool { return decides(v.current.Load().allowed, id) }
func (v *verdicts) blocks(id string) bool { return decides(v.current.Load().blocked, id) }

// decides reports whether a list is about a client. Hosts are those of documents: an id that is no URL
// has none.
func decides(list []string, id string) bool {
	if len(list) == 0 {
		return false
	}
	if !looksLikeURL(id) {
		return slices.Contains(list, id)
	}
	return covers(list, id)
}

// refresh reads the list.
func (v *verdicts) refresh(ctx context.Context) error {
	if v.store == nil {
		return nil
	}
	list, rev, err := v.store.Verdicts(ctx)
	if err != nil {
		return fmt.Errorf("reading the operator's verdicts: %w", err)
	}
	set := &verdictSet{rev: rev, list: list}
	for _, verdict := range list {
		if verdict.Allowed {
			set.allowed = append(set.allowed, verdict.Entry)
		} else {
			set.blocked = append(set.blocked, verdict.Entry)
		}
	}
	for { // an older list never follows a newer
		before := v.current.Load()
		if before.rev >= rev || v.current.CompareAndSwap(before, set) {
			return nil
		}
	}
}

// decide puts a verdict in the place of what was decided about its entry before.
func (v *verdicts) decide(ctx context.Context, verdict bridge.Verdict) error {
	for range verdictTries {
		list, rev, err := v.store.Verdicts(ctx)
		if err != nil {
			return fmt.Errorf("reading the operator's verdicts: %w", err)
		}
		list = slices.DeleteFunc(list, func(other bridge.Verdict) bool { return other.Entry == verdict.Entry })
		if len(list) >= bridge.MaxVerdicts {
			return bridge.ErrFull
		}
		err = v.store.SwapVerdicts(ctx, append(list, verdict), rev)
		if errors.Is(err, bridge.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("storing the operator's verdict: %w", err)
		}
		return v.refresh(ctx)
	}
	return fmt.Errorf("storing the operator's verdict: %w, again and again", bridge.ErrConflict)
}

// Decide lets the clients of an entry in, or shuts them out, from now on: here at once and on other
// replicas within seconds. ErrEntry when the entry can match nothing, bridge.ErrFull when there are too
// many verdicts.
func (r *Registry) Decide(ctx context.Context, entry string, allowed bool) (bridge.Verdict, error) {
	entry = strings.TrimSpace(entry)
	if _, configured := r.configured[entry]; !configured && CheckTrustEntry(entry) != nil {
		return bridge.Verdict{}, ErrEntry
	}
	verdict := bridge.Verdict{Entry: entry, Allowed: allowed, DecidedAt: r.now()}
	if err := r.verdicts.decide(ctx, verdict); err != nil {
		return bridge.Verdict{}, err
	}
	kind := audit.ClientBlocked
	if allowed {
		kind = audit.ClientAllowed
	}
	r.verdicts.trail.Record(ctx, bridge.AuditEvent{Kind: kind, Detail: entry})
	return verdict, nil
}

// Verdicts are what the operator decided, as this replica knows it.
func (r *Registry) Verdicts() []bridge.Verdict { return slices.Clone(r.verdicts.current.Load().list) }

// Refresh reads the operator's verdicts.
func (r *Registry) Refresh(ctx context.Context) error { return r.verdicts.refresh(ctx) }

// Run keeps up with what other replicas were told, until ctx ends.
func (r *Registry) Run(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(verdictsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		within, cancel := context.WithTimeout(ctx, verdictsWithin)
		if err := r.Refresh(within); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "the operator's verdicts about clients were not read again", "error", err)
		}
		cancel()
	}
}

// State is how the operator stands to a client.
type State string

// The states of a client.
const (
	StateIn      State = "let in"
	StateBlocked State = "shut out"
	StateAsks    State = "asks" // PolicyAsk, and nobody has decided
)

// State says how the operator stands to a client, or to a host whose documents are meant.
func (r *Registry) State(id string) State {
	switch client, configured := r.configured[id]; {
	case r.verdicts.blocks(id) || configured && client.Blocked:
		return StateBlocked
	case configured || !looksLikeURL(id):
		return StateIn
	}
	switch err := r.documents.judge(id); {
	case err == nil:
		return StateIn
	case errors.Is(err, ErrAskOperator):
		return StateAsks
	}
	return StateBlocked
}

// Configured are the clients of the configuration.
func (r *Registry) Configured() []bridge.Client {
	var all []bridge.Client
	for _, client := range r.configured {
		all = append(all, client)
	}
	slices.SortFunc(all, func(a, b bridge.Client) int { return strings.Compare(a.ID, b.ID) })
	return all
}
