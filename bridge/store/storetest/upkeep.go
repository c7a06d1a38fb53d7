package storetest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

var upkeepTests = []test{
	{"a store is counted", statsCounted},
	{"OP-18/a backup is one state, and every row of it", backupWhole},
	{"OP-18/a backup that nobody takes ends with its caller", backupCut},
}

// wantWhole wants every row to open and every index to lead to it and to nothing else: after each test of the
// suite. What the fixtures call sealed is not.
func (f *fixture) wantWhole(t *testing.T) {
	t.Helper()
	report, err := f.Verify(context.WithoutCancel(t.Context()), f.now)
	if err != nil || report.Faults != report.Lost {
		t.Errorf("the store is not whole: %d faults, %v: %v", report.Faults-report.Lost, err, report.First)
	}
}

func statsCounted(t *testing.T, f *fixture) {
	first := f.newFlow()
	must(t, f.CreateFlow(t.Context(), first))
	began := f.now
	f.now = f.now.Add(time.Hour)
	must(t, f.CreateFlow(t.Context(), f.newFlow()))
	f.live(t)
	stats, err := f.Stats(t.Context(), f.now)
	must(t, err)
	of := map[string]bridge.KindStats{}
	rows := 0
	for _, kind := range stats.Kinds {
		of[kind.Kind] = kind
		rows += kind.Rows
	}
	flows := of["flow"]
	equal(t, "flows and grants", []int{flows.Rows, flows.Overdue, of["grant"].Rows}, []int{3, 0, 1})
	equal(t, "the oldest flow", flows.Oldest.Equal(began), true)
	equal(t, "all rows", stats.Rows, rows)
	if stats.Bytes <= 0 || stats.Disk.Bytes <= 0 || stats.Disk.Engine == "" {
		t.Errorf("stats %+v", stats)
	}
	late := first.ExpiresAt.Add(48 * time.Hour) // flows with a session wait a day to be logged out
	stats, err = f.Stats(t.Context(), late)
	must(t, err)
	for _, kind := range stats.Kinds {
		if kind.Kind == "flow" && (kind.Overdue != 3 || !kind.DueFrom.Equal(f.now.Add(flowLife))) {
			t.Errorf("overdue flows: %+v, want them from the end of the decided one, which has no session", kind)
		}
	}
}

func backupWhole(t *testing.T, f *fixture) {
	f.sealedRows(t, secrettest.Ring())
	for range 250 { // more than a page of a kind
		must(t, f.CreateFlow(t.Context(), f.newFlow()))
	}
	stats, err := f.Stats(t.Context(), f.now)
	must(t, err)
	var sealed bytes.Buffer
	must(t, f.Backup(t.Context(), &sealed, f.now))
	must(t, f.CreateFlow(t.Context(), f.newFlow())) // comes too late
	var head rows.BackupHead
	begin := func(h rows.BackupHead) error { head = h; return nil }
	held, err := rows.ReadBackup(bytes.NewReader(sealed.Bytes()), secrettest.Ring(), f.now, begin, func([]rows.Row) error { return nil })
	must(t, err)
	want := map[string]int{}
	for _, kind := range stats.Kinds {
		if kind.Rows > 0 {
			want[kind.Kind] = kind.Rows
		}
	}
	got := map[string]int{}
	for kind, n := range held.Rows {
		got[string(kind)] = n
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-stored +in the backup):\n%s", diff)
	}
	equal(t, "head", []string{head.Deployment.ID, head.MadeAt.UTC().String()}, []string{"id", f.now.String()})
	for _, shown := range []string{"alice", "grant-", "flow", "https://", "connection"} {
		if bytes.Contains(sealed.Bytes(), []byte(shown)) {
			t.Errorf("OP-10: the backup shows %q", shown)
		}
	}
}

func backupCut(t *testing.T, f *fixture) {
	for range 50 {
		must(t, f.CreateFlow(t.Context(), f.newFlow()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var sealed bytes.Buffer
	if err := f.Backup(ctx, &sealed, f.now); err == nil {
		t.Error("a backup whose caller is gone came to its end")
	}
	begin := func(rows.BackupHead) error { return nil }
	if _, err := rows.ReadBackup(&sealed, secrettest.Ring(), f.now, begin, func([]rows.Row) error { return nil }); err == nil {
		t.Error("a part of a backup was taken for one")
	}
}
