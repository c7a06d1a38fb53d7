package badger

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	engine "github.com/dgraph-io/badger/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
)

const crashRounds = 20

// work connects, rotates and revokes on eight goroutines until the process is killed, and prints
// a line for each step once the store has acknowledged it. beside, if there is one, runs beside it.
func work(dir string, beside func(*Store) error) int {
	s, err := Open(Options{Sealer: secrettest.Ring(), Dir: dir})
	if err != nil {
		fmt.Println("cannot open:", err)
		return 1
	}
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := 0; ; i++ {
				if err := journal(storetest.NewConnection(s), i%3 == 0); err != nil {
					fmt.Println("failed:", err)
					os.Exit(1)
				}
			}
		})
	}
	if beside != nil {
		fmt.Println("failed:", beside(s))
		os.Exit(1)
	}
	workers.Wait()
	return 0
}

func journal(c *storetest.Connection, end bool) error {
	ctx := context.Background()
	if err := c.Issue(ctx); err != nil {
		return err
	}
	fmt.Println("issued", c.GrantID, c.Code)
	if outcome, err := c.Redeem(ctx); err != nil || outcome != bridge.CodeRedeemed {
		return fmt.Errorf("redeeming came to %s, %w", outcome, err)
	}
	fmt.Println("redeemed", c.GrantID, c.Token)
	for range 2 {
		if err := c.Rotate(ctx); err != nil {
			return err
		}
		fmt.Println("rotated", c.GrantID, c.Token)
	}
	if !end {
		return nil
	}
	if _, _, err := c.Store.EndGrant(ctx, c.GrantID, bridge.EndRevokedByClient, time.Now()); err != nil {
		return err
	}
	fmt.Println("ended", c.GrantID, "-")
	return nil
}

// acknowledged is how far a connection got as far as the child was told.
type acknowledged struct {
	code, head      string
	redeemed, ended bool
}

// TestStore_OP01_kill9 kills a working process again and again. Each time the store must open by
// itself, hold everything that was acknowledged, be whole in itself, and redeem no code twice.
func TestStore_OP01_kill9(t *testing.T) {
	t.Parallel()
	killAgain(t, childWorks, 120)
}

// killAgain kills processes at the same store after at most so many milliseconds.
func killAgain(t *testing.T, role string, most int) {
	t.Helper()
	dir := t.TempDir()
	total := 0
	for round := range crashRounds { // a fifth is killed before they are known to have opened the store
		book := map[string]*acknowledged{}
		for _, line := range killedChild(t, role, dir, 5+round*37%120*most/120, round%5 != 4) {
			record(t, book, line)
		}
		s := openStore(t, Options{Dir: dir})
		checkWhole(t, s)
		for id, a := range book {
			checkAcknowledged(t, s, id, a)
		}
		checkWhole(t, s)
		must(t, s.Close())
		total += len(book)
	}
	if total == 0 {
		t.Error("no child got anything done, so this tests nothing")
	}
	t.Logf("%d connections over %d kills", total, crashRounds)
}

// killedChild starts a worker, kills it after so many milliseconds, of work or of its start, and returns its
// complete lines.
func killedChild(t *testing.T, role, dir string, after int, atWork bool) []string {
	t.Helper()
	return childKilledBy(t, role, dir, atWork, func(kill func()) { time.AfterFunc(time.Duration(after)*time.Millisecond, kill) })
}

// childKilledBy is killedChild for what bomb, which is called when the worker starts or is at work, makes of a kill.
func childKilledBy(t *testing.T, role, dir string, atWork bool, bomb func(kill func())) []string {
	t.Helper()
	child := childCommand(t, role, dir)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	reader := bufio.NewReader(out)
	var lines []string
	if atWork {
		line, err := reader.ReadString('\n')
		must(t, err)
		lines = append(lines, line)
	}
	bomb(func() { _ = child.Process.Kill() })
	rest, err := io.ReadAll(reader)
	must(t, err)
	_ = child.Wait() // killed
	for line := range strings.Lines(string(rest)) {
		if strings.HasSuffix(line, "\n") {
			lines = append(lines, line)
		}
	}
	return lines
}

func record(t *testing.T, book map[string]*acknowledged, line string) {
	t.Helper()
	var step, id, value string
	if n, _ := fmt.Sscan(line, &step, &id, &value); n != 3 {
		t.Fatalf("the child said %q", line)
	}
	if book[id] == nil {
		book[id] = &acknowledged{}
	}
	a := book[id]
	switch step {
	case "issued":
		a.code = value
	case "redeemed":
		a.redeemed, a.head = true, value
	case "rotated":
		a.head = value
	case "ended":
		a.ended = true
	default:
		t.Fatalf("the child said %q", line)
	}
}

// checkAcknowledged compares a connection with what is stored. The step after the last acknowledged
// one may have been stored as well.
func checkAcknowledged(t *testing.T, s *Store, id string, a *acknowledged) {
	t.Helper()
	ctx := t.Context()
	grant, err := s.Grant(ctx, id)
	must(t, err)
	if a.ended {
		queued, err := transactions{s}.ReadRow(ctx, rows.Ref{Kind: rows.KindRevocation, ID: id})
		must(t, err)
		if grant.Status != bridge.GrantEnded || queued == nil {
			t.Fatalf("an ended grant is %s, its key queued: %t", grant.Status, queued != nil)
		}
	}
	if a.redeemed && grant.Status == bridge.GrantPending {
		t.Fatal("a redemption is lost")
	}
	if a.head != "" {
		told := &storetest.Connection{GrantID: id, Token: a.head}
		_, family, err := s.RefreshGrant(ctx, told.Head(), time.Now())
		must(t, err)
		if !family.IsHead(told.Head().Hash) && !family.IsHead(told.Successor().Hash) {
			t.Fatal("a rotation is lost")
		}
	}
	c := &storetest.Connection{Store: s, GrantID: id, Code: a.code}
	outcome, err := c.Redeem(ctx)
	must(t, err)
	if a.redeemed && outcome != bridge.CodeReplayed {
		t.Fatalf("redeeming a second time came to %s", outcome)
	}
	if !a.redeemed && outcome != bridge.CodeRedeemed && outcome != bridge.CodeReplayed {
		t.Fatalf("redeeming an issued code came to %s", outcome)
	}
}

// checkWhole compares the index rows with the records: a transaction that was stored in part would
// leave them apart.
func checkWhole(t *testing.T, s *Store) {
	t.Helper()
	want, got := map[string]bool{}, map[string]bool{}
	must(t, s.db.View(func(txn *engine.Txn) error {
		t := &tx{txn: txn}
		for key := range t.suffixes("", "") {
			ref, isRow := refOf(key)
			switch {
			case key == schemaKey, key[0] == firstTick, key[0] == firstPad:
				continue
			case !isRow:
				got[key] = true
				continue
			}
			record, err := t.Get(ref)
			if err != nil {
				return err
			}
			row, err := rows.Describe(s.key, ref, record, testTime)
			if err != nil {
				return err
			}
			for _, place := range row.Places {
				if at := placeKey(place, ref); at != key { // else the row is its place
					want[at] = true
				}
			}
		}
		return nil
	}))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("records and index differ (-records +index):\n%s", diff)
	}
}
