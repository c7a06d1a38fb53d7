package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var auditTests = []test{
	{"OP-33/events are listed newest first", auditOrder},
	{"OP-33/64 appends at once lose nothing", auditRace},
	{"OP-33/as many as may come before one append", auditMany},
}

func (f *fixture) wantTrail(t testing.TB, grantID string, limit int, want ...bridge.AuditEvent) {
	t.Helper()
	got, err := f.AuditTrail(t.Context(), grantID, limit)
	must(t, err)
	equal(t, "trail", append([]bridge.AuditEvent{}, got...), append([]bridge.AuditEvent{}, want...))
}

func auditOrder(t *testing.T, f *fixture) {
	must(t, f.AppendAudit(t.Context(), nil))
	f.wantTrail(t, "", 10)
	first := bridge.AuditEvent{
		At: f.now, Kind: "code_issued", RequestID: "r-1", PersonID: alice.ID(), ClientID: "client-a",
		GrantID: "grant-1", Outcome: "ok", Detail: "detail",
	}
	second := bridge.AuditEvent{At: f.now, Kind: "code_redeemed", GrantID: "grant-1"} // of the same instant, but later
	third := bridge.AuditEvent{At: f.now.Add(time.Second), Kind: "sign_in_failed"}
	fourth := bridge.AuditEvent{At: f.now.Add(time.Second), Kind: "code_issued", GrantID: "grant-2"}
	must(t, f.AppendAudit(t.Context(), []bridge.AuditEvent{first, second}))
	f.reopen(t)
	must(t, f.AppendAudit(t.Context(), []bridge.AuditEvent{third}))
	must(t, f.AppendAudit(t.Context(), []bridge.AuditEvent{fourth}))
	f.wantTrail(t, "", 10, fourth, third, second, first)
	f.wantTrail(t, "", 3, fourth, third, second)
	f.wantTrail(t, "", 0)
	f.wantTrail(t, "grant-1", 10, second, first)
	f.wantTrail(t, "grant-1", 1, second)
	f.wantTrail(t, "grant-2", 10, fourth)
	f.wantTrail(t, "grant", 10)

	f.now = first.At.Add(90*24*time.Hour - time.Nanosecond)
	f.wantSwept(t, 0)
	f.now = first.At.Add(90 * 24 * time.Hour)
	f.wantSwept(t, 2)
	f.wantTrail(t, "", 10, fourth, third)
	f.wantTrail(t, "grant-1", 10)
}

func auditRace(t *testing.T, f *fixture) {
	barrier(64, func(i int) {
		events := []bridge.AuditEvent{
			{At: f.now, Kind: "first", RequestID: fmt.Sprint(i)},
			{At: f.now, Kind: "second", RequestID: fmt.Sprint(i)},
		}
		if err := f.AppendAudit(t.Context(), events); err != nil {
			t.Error(err)
		}
	})
	trail, err := f.AuditTrail(t.Context(), "", 1000)
	must(t, err)
	equal(t, "events", len(trail), 128)
	for i := 0; i < len(trail); i += 2 { // those of one call stay together and in order
		equal(t, "neighbours", []string{trail[i+1].Kind, trail[i].Kind, trail[i+1].RequestID}, []string{"first", "second", trail[i].RequestID})
	}
}

// auditMany: while a disk is slow, or somebody has requests refused, thousands of events wait for one append.
func auditMany(t *testing.T, f *fixture) {
	events := make([]bridge.AuditEvent, 4096)
	for i := range events {
		events[i] = bridge.AuditEvent{
			At: f.now, Kind: "token_refused", RequestID: fmt.Sprint(i), ClientID: strings.Repeat("c", 256), GrantID: fmt.Sprint("grant-", i),
			Detail: strings.Repeat("why ", 100),
		}
	}
	must(t, f.AppendAudit(t.Context(), events))
	trail, err := f.AuditTrail(t.Context(), "", len(events)+1)
	must(t, err)
	slices.Reverse(trail)
	equal(t, "trail", trail, events)
}
