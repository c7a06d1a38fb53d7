package rows

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// resealAtOnce is how many rows one write seals anew, so that others are not kept waiting.
const resealAtOnce = 50

// The steps of a walk that seals anew. A store on the way refuses both secrets alone: that from before
// no longer opens the deployment's row, which comes first, and the next one does not yet open the row
// key, which comes last. Revocations come after what they are made of.
const (
	resealDeployment = "deployment"
	resealSigning    = "signing-keys"
	resealRowKey     = "row-key"
)

var resealSteps = []string{
	resealDeployment, string(KindFlow), string(KindGrant), string(KindIdentity), string(KindLink), string(KindRevocation), resealSigning, resealRowKey,
}

// Reseal goes on behind after, in rows of one kind at a time.
func (s *Store) Reseal(ctx context.Context, after string, limit int, now time.Time) (bridge.Resealed, error) {
	step, id, err := resealFrom(after)
	if err != nil {
		return bridge.Resealed{}, err
	}
	var done bridge.Resealed
	var last string
	switch Kind(step) {
	case KindFlow:
		done, last, err = reseal(ctx, s, flows, id, limit, now, (*bridge.Flow).SealedValues)
	case KindGrant:
		done, last, err = reseal(ctx, s, grants, id, limit, now, func(g *grantRow) []bridge.SealedValue { return g.SealedValues() })
	case KindIdentity:
		done, last, err = reseal(ctx, s, identities, id, limit, now, (*bridge.IdentitySession).SealedValues)
	case KindLink:
		done, last, err = reseal(ctx, s, links, id, limit, now, (*bridge.Link).SealedValues)
	case KindRevocation:
		done, last, err = reseal(ctx, s, revocations, id, limit, now, (*bridge.KeyRevocation).SealedValues)
	case resealDeployment:
		done, err = s.resealDeployment(ctx)
	case resealSigning:
		done, err = s.resealSigningKeys(ctx)
	case resealRowKey:
		done, err = s.resealRowKey(ctx)
	}
	if err != nil {
		return bridge.Resealed{}, fmt.Errorf("sealing anew (%s): %w", step, err)
	}
	done.Next = resealNext(step, last)
	return done, nil
}

// resealFrom reads where to go on: a step, and in the steps of many rows the id of the last one.
func resealFrom(after string) (step, id string, err error) {
	if after == "" {
		return resealSteps[0], "", nil
	}
	step, coded, _ := strings.Cut(after, "/")
	raw, err := base64.RawURLEncoding.DecodeString(coded)
	if err != nil || !slices.Contains(resealSteps, step) {
		return "", "", errors.New("sealing anew: there is no such place to go on from")
	}
	return step, string(raw), nil
}

// resealNext is where to go on: behind the last row of a step that may have more, else at the next step.
func resealNext(step, last string) string {
	if last != "" {
		return step + "/" + base64.RawURLEncoding.EncodeToString([]byte(last))
	}
	if next := slices.Index(resealSteps, step) + 1; next < len(resealSteps) {
		return resealSteps[next]
	}
	return ""
}

// staleRow is a row with something in it that is sealed under another secret.
type staleRow struct {
	id    string
	bytes int
}

// reseal looks at up to limit rows of a kind. It returns the id of the last one, "" when there are no
// more.
func reseal[T any](ctx context.Context, s *Store, records table[T], after string, limit int, now time.Time,
	values func(*T) []bridge.SealedValue,
) (done bridge.Resealed, last string, err error) {
	scan := Scan{Index: Index{Kind: records.kind}, Limit: limit}
	if after != "" {
		scan.After = &Position{ID: after}
	}
	var stale []staleRow
	err = s.read(ctx, func(t *tx) error {
		done, last, stale = bridge.Resealed{}, "", nil
		found, err := t.Scan(scan)
		if err != nil {
			return err
		}
		for _, row := range found {
			record, _, err := records.read(t.key, row.ID, row.Record)
			if err != nil {
				return err
			}
			all := values(&record)
			done.Values += len(all)
			if slices.ContainsFunc(all, func(v bridge.SealedValue) bool { return !s.sealer.Current(*v.In) }) {
				stale = append(stale, staleRow{row.ID, len(row.Record)})
			}
		}
		if len(found) == limit {
			last = found[len(found)-1].ID
		}
		return nil
	})
	for some := range inParts(stale, resealAtOnce, func(row staleRow) int { return row.bytes }) {
		if err != nil {
			break
		}
		var anew bridge.Resealed
		anew, err = write(ctx, s, func(t *tx) (bridge.Resealed, error) { return resealRows(t, s.sealer, records, some, now, values) })
		done.Anew, done.Lost = done.Anew+anew.Anew, done.Lost+anew.Lost
	}
	return done, last, err
}

func resealRows[T any](t *tx, sealer bridge.Sealer, records table[T], some []staleRow, now time.Time,
	values func(*T) []bridge.SealedValue,
) (done bridge.Resealed, err error) {
	for _, row := range some {
		stored, found, err := records.get(t, row.id)
		if err != nil {
			return done, err
		}
		if !found {
			continue
		}
		if !resealValues(sealer, values(&stored), &done) {
			continue
		}
		// No index leads to what is sealed: the places stay.
		if err := records.putQuietly(t, row.id, &stored, &stored, now); err != nil {
			return done, err
		}
	}
	return done, nil
}

// resealValues seals anew what is not under the current secret, and reports whether that was any. What no
// secret opens stays as it is: it is of no use to anybody, and counted.
func resealValues(sealer bridge.Sealer, values []bridge.SealedValue, done *bridge.Resealed) (changed bool) {
	for _, value := range values {
		if sealer.Current(*value.In) {
			continue
		}
		again, err := sealer.Reseal(value.Kind, value.Row, *value.In)
		if err != nil {
			done.Lost++
			continue
		}
		*value.In, changed = again, true
		done.Anew++
	}
	return changed
}

// sealCurrent seals anew what is written back long after it was read: a walk may have gone by meanwhile, and found
// nothing to come back for.
func (s *Store) sealCurrent(values []bridge.SealedValue) {
	resealValues(s.sealer, values, &bridge.Resealed{})
}

func (s *Store) resealDeployment(ctx context.Context) (bridge.Resealed, error) {
	return write(ctx, s, func(t *tx) (done bridge.Resealed, err error) {
		var deployment bridge.Deployment
		if found, err := load(t, deploymentRow, &deployment); err != nil || !found {
			return done, err
		}
		values := deployment.SealedValues()
		done.Values = len(values)
		if !resealValues(s.sealer, values, &done) {
			return done, nil
		}
		return done, save(t, deploymentRow, deployment)
	})
}

// resealSigningKeys moves the revision of the list on, so that nobody who has read it from before puts
// that back.
func (s *Store) resealSigningKeys(ctx context.Context) (bridge.Resealed, error) {
	return write(ctx, s, func(t *tx) (done bridge.Resealed, err error) {
		var list keyList
		if found, err := load(t, signingKeysRow, &list); err != nil || !found {
			return done, err
		}
		changed := false
		for i := range list.Keys {
			values := list.Keys[i].SealedValues()
			done.Values += len(values)
			changed = resealValues(s.sealer, values, &done) || changed
		}
		if !changed {
			return done, nil
		}
		list.Revision++
		return done, save(t, signingKeysRow, list)
	})
}

func (s *Store) resealRowKey(ctx context.Context) (bridge.Resealed, error) {
	done := bridge.Resealed{Values: 1}
	wrapped, err := s.engine.WrappedKey(ctx)
	if err != nil || s.sealer.Current(wrapped) {
		return done, err
	}
	again, err := s.sealer.Reseal(bridge.SealedRowKey, "", wrapped)
	if err != nil {
		return done, err
	}
	done.Anew++
	return done, s.engine.Rewrap(ctx, wrapped, again)
}
