package badger

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
)

// TestTable_OP16_broom: only rows whose absence costs nobody anything may be dropped by the engine's
// clock, and not before a day after they were due.
func TestTable_OP16_broom(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	ctx := t.Context()
	must(t, s.CreateClient(ctx, bridge.Client{ID: storetest.Client, Kind: bridge.ClientRegistered, CreatedAt: testTime, UnusedUntil: testTime.Add(time.Hour)}, 1))
	for range 2 {
		c := storetest.NewConnection(s)
		must(t, c.Issue(ctx))
		if outcome, err := c.Redeem(ctx); err != nil || outcome != bridge.CodeRedeemed {
			t.Fatal(outcome, err)
		}
		must(t, c.Rotate(ctx))
		_, _, err := s.EndGrant(ctx, c.GrantID, bridge.EndExpired, time.Now())
		must(t, err)
	}
	_, err := s.Hit(ctx, "key", 1, time.Hour, testTime)
	must(t, err)
	must(t, s.AppendAudit(ctx, []bridge.AuditEvent{{At: testTime, GrantID: "grant"}}))
	must(t, s.SaveDeployment(ctx, bridge.Deployment{ID: "id"}))

	// The longest any row of a kind has to its due time.
	swept := map[rows.Kind]time.Duration{
		rows.KindFlow: time.Hour, rows.KindCode: time.Hour + 24*time.Hour, rows.KindCounter: time.Hour, rows.KindAudit: 90 * 24 * time.Hour,
	}
	lasting := []rows.Kind{rows.KindMeta, rows.KindClient, rows.KindGrant, rows.KindConsent, rows.KindRevocation, "tick", "schema"}
	seen := map[rows.Kind]bool{}
	for key, expires := range expiries(t, s) {
		kind := kindOf(key)
		life, short := swept[kind]
		switch {
		case short:
			early, late := time.Now().Add(life+rows.BroomDelay-time.Minute), time.Now().Add(life+rows.BroomDelay+time.Minute)
			if expires.Before(early) || expires.After(late) {
				t.Errorf("%q goes at %s, want about %s", key, expires, early)
			}
		case slices.Contains(lasting, kind):
			if !expires.IsZero() {
				t.Errorf("%q goes at %s by the engine's clock, want never", key, expires)
			}
		case kind != "index":
			t.Errorf("%q is of no known kind", key)
		}
		seen[kind] = true
	}
	if len(seen) != len(swept)+len(lasting)+1 {
		t.Errorf("only these kinds were stored: %v", seen)
	}
}

// kindOf names what a key is of.
func kindOf(key string) rows.Kind {
	row, isRow := refOf(key)
	switch {
	case isRow:
		return row.Kind
	case key == schemaKey:
		return "schema"
	case key[0] == firstTick:
		return "tick"
	case key[0] >= firstIndex:
		return "index"
	}
	return "nothing"
}

// TestStore_OP15_endedIsMarkedAndSwept: an ended grant is known as such, and in the end
// nothing of a connection is left.
func TestStore_OP15_endedIsMarkedAndSwept(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	ctx := t.Context()
	c := storetest.NewConnection(s)
	must(t, c.Issue(ctx))
	_, err := c.Redeem(ctx)
	must(t, err)
	must(t, c.Rotate(ctx))
	end := time.Now()
	_, _, err = s.EndGrant(ctx, c.GrantID, bridge.EndExpired, end)
	must(t, err)
	grant, _, err := s.RefreshGrant(ctx, c.Head(), end)
	must(t, err)
	if grant.Status != bridge.GrantEnded || grant.Credential.Sealed != nil {
		t.Errorf("an ended grant is %s and holds %d bytes of its key", grant.Status, len(grant.Credential.Sealed))
	}
	if err := c.Rotate(ctx); err == nil {
		t.Error("a token of an ended grant is rotated")
	}

	must(t, s.FinishKeyRevocation(ctx, c.GrantID))
	_, err = s.Sweep(ctx, end.AddDate(2, 0, 0), 1000)
	must(t, err)
	for key := range expiries(t, s) {
		if !slices.Contains([]rows.Kind{rows.KindMeta, "tick", "schema"}, kindOf(key)) {
			t.Errorf("%q is left", key)
		}
	}
}

// expiries returns when the engine may drop each row, the zero time for never.
func expiries(t *testing.T, s *Store) map[string]time.Time {
	t.Helper()
	rows := map[string]time.Time{}
	must(t, s.db.View(func(txn *engine.Txn) error {
		it := txn.NewIterator(engine.IteratorOptions{})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			var at time.Time
			if seconds := it.Item().ExpiresAt(); seconds > 0 {
				at = time.Unix(int64(seconds), 0)
			}
			rows[string(it.Item().KeyCopy(nil))] = at
		}
		return nil
	}))
	return rows
}

// TestStore_OP10_atRest looks through the folder's files for anything that came in.
func TestStore_OP10_atRest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	_, err := s.Hit(t.Context(), "mailbox alice@example.com", 5, time.Hour, testTime)
	must(t, err)
	must(t, s.AppendAudit(t.Context(), []bridge.AuditEvent{{At: testTime, PersonID: "trinity:alice", Detail: "alice@example.com"}}))
	must(t, s.CreateClient(t.Context(), bridge.Client{
		ID: "https://client.example.com/id", Kind: bridge.ClientRegistered, CreatedAt: testTime, UnusedUntil: testTime.Add(time.Hour),
	}, 10))
	c := storetest.NewConnection(s)
	must(t, c.Issue(t.Context()))
	_, err = c.Redeem(t.Context())
	must(t, err)
	for range 2 { // in the log, then in tables
		for _, name := range fileNames(t, dir) {
			content, err := os.ReadFile(filepath.Join(dir, name))
			must(t, err)
			for _, secret := range []string{"mailbox", "alice", "example", "subject", c.Code, c.Token} {
				if bytes.Contains(content, []byte(secret)) {
					t.Errorf("%s shows %q", name, secret)
				}
			}
		}
		must(t, s.Close())
	}
}

// TestStore_OP11_rowsCannotBeSwapped: the row of one grant in the place of another is no row at all.
func TestStore_OP11_rowsCannotBeSwapped(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	ctx := t.Context()
	mine, theirs := storetest.NewConnection(s), storetest.NewConnection(s)
	must(t, mine.Issue(ctx))
	must(t, theirs.Issue(ctx))
	must(t, s.writer.do(ctx, func(t *tx) error {
		value, err := t.Get(rows.Ref{Kind: rows.KindGrant, ID: theirs.GrantID})
		if err != nil {
			return err
		}
		return t.Put(rows.Row{Ref: rows.Ref{Kind: rows.KindGrant, ID: mine.GrantID}, Record: value})
	}))
	_, err := s.Grant(ctx, mine.GrantID)
	wantSaid(t, err, "for another row")
	_, err = mine.Redeem(ctx)
	wantSaid(t, err, "for another row")
	_, err = s.Grant(ctx, theirs.GrantID)
	must(t, err)
}
