package badger

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
)

// TestWatermark_OP14_rollback puts yesterday's folder back. What was revoked and spent since is never
// good again, whether or not the loss is accepted.
func TestWatermark_OP14_rollback(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	s := openStore(t, Options{Dir: dir})
	ctx := t.Context()
	revoked, rotated, unredeemed := storetest.NewConnection(s), storetest.NewConnection(s), storetest.NewConnection(s)
	for _, c := range []*storetest.Connection{revoked, rotated} {
		must(t, c.Issue(ctx))
		_, err := c.Redeem(ctx)
		must(t, err)
	}
	must(t, unredeemed.Issue(ctx))
	must(t, s.SwapSigningKeys(ctx, []bridge.SigningKey{{ID: "leaked since"}}, 0))
	must(t, s.Close())
	yesterday := filepath.Join(t.TempDir(), "yesterday")
	must(t, os.CopyFS(yesterday, os.DirFS(dir)))

	s = openStore(t, Options{Dir: dir})
	for _, c := range []*storetest.Connection{revoked, rotated, unredeemed} {
		c.Store = s
	}
	stale := rotated.Token
	must(t, rotated.Rotate(ctx))
	_, err := unredeemed.Redeem(ctx)
	must(t, err)
	_, _, err = s.EndGrant(ctx, revoked.GrantID, bridge.EndRevokedByClient, time.Now())
	must(t, err)
	must(t, s.Close())

	must(t, os.RemoveAll(dir))
	must(t, os.CopyFS(dir, os.DirFS(yesterday)))
	for range 3 {
		_, err = tryStore(Options{Dir: dir, Sealer: secrettest.Ring()})
		if !errors.Is(err, ErrLost) {
			t.Fatalf("got %v, want ErrLost", err)
		}
	}
	ended, err := AcceptLoss(ctx, Options{Dir: dir, Sealer: secrettest.Ring()}, time.Now())
	must(t, err)
	if ended != 3 {
		t.Errorf("%d grants were ended, want 3", ended)
	}
	s = openClosed(t, Options{Dir: dir})
	for _, c := range []*storetest.Connection{revoked, rotated, unredeemed} {
		grant, err := s.Grant(ctx, c.GrantID)
		must(t, err)
		if grant.Status != bridge.GrantEnded || grant.EndReason != bridge.EndStoreLost {
			t.Errorf("a grant is %s %s", grant.Status, grant.EndReason)
		}
	}
	unredeemed.Store = s
	if outcome, err := unredeemed.Redeem(ctx); err != nil || outcome == bridge.CodeRedeemed {
		t.Errorf("a spent code came to %s, %v", outcome, err)
	}
	for _, token := range []string{stale, revoked.Token} {
		c := &storetest.Connection{Store: s, Token: token}
		if err := c.Rotate(ctx); err == nil {
			t.Error("an old refresh token is good again")
		}
	}
	if keys, revision, err := s.SigningKeys(ctx); err != nil || len(keys) != 0 || revision != 2 {
		t.Errorf("%d signing keys at revision %d, %v", len(keys), revision, err)
	}
	checkWhole(t, s)
}

// TestWatermark_OP14_otherHistory: after a loss was accepted, the folder that was believed lost is not
// the store's history any more, however far it had come.
func TestWatermark_OP14_otherHistory(t *testing.T) {
	t.Parallel()
	dir := filledStore(t)
	further := filepath.Join(t.TempDir(), "further")
	early := filepath.Join(t.TempDir(), "early")
	must(t, os.CopyFS(early, os.DirFS(dir)))
	s := openStore(t, Options{Dir: dir})
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		must(t, s.CreateFlow(t.Context(), flowNamed(id)))
	}
	must(t, s.Close())
	must(t, os.Rename(dir, further))
	must(t, os.CopyFS(dir, os.DirFS(early)))
	_, err := AcceptLoss(t.Context(), Options{Dir: dir, Sealer: secrettest.Ring()}, time.Now())
	must(t, err)
	must(t, openStore(t, Options{Dir: dir}).Close())
	must(t, os.RemoveAll(dir))
	must(t, os.Rename(further, dir))
	_, err = tryStore(Options{Dir: dir, Sealer: secrettest.Ring()})
	wantSaid(t, err, "it is of generation 0, its watermark of 1")
}

// TestWatermark_file: what becomes of the store when the watermark is gone, damaged, or another one's.
func TestWatermark_file(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func(t *testing.T, file string)
		says   string // "": opens
		warns  int
	}{
		{"as it was", func(*testing.T, string) {}, "", 0},
		{"gone", func(t *testing.T, file string) { must(t, os.Remove(file)) }, "its watermark is gone or another one", 0},
		{"emptied", func(t *testing.T, file string) { must(t, os.Truncate(file, 0)) }, "its watermark is gone or another one", 0},
		{"cut in a slot", func(t *testing.T, file string) { must(t, os.Truncate(file, 50)) }, "its watermark is gone or another one", 0},
		{"first slot flipped", func(t *testing.T, file string) { flip(t, file, 10) }, "", 1},
		{"second slot flipped", func(t *testing.T, file string) { flip(t, file, slotBytes+20) }, "", 1},
		{"digest flipped", func(t *testing.T, file string) { flip(t, file, digestAt) }, "", 1},
		{"both slots flipped", func(t *testing.T, file string) { flip(t, file, macAt); flip(t, file, slotBytes+macAt) }, "its watermark is gone or another one", 0},
		{"another store's", func(t *testing.T, file string) { must(t, os.Rename(filledStore(t)+".watermark", file)) }, "another one", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filledStore(t)
			tt.damage(t, dir+".watermark")
			var log logBuffer
			s, err := tryStore(Options{Dir: dir, Sealer: secrettest.Ring(), Logger: log.logger()})
			if tt.says != "" {
				wantSaid(t, err, tt.says)
				wantSaid(t, err, dir+".watermark") // it may be only that another one was named
				if !errors.Is(err, ErrLost) {
					t.Errorf("%v is not ErrLost", err)
				}
				return
			}
			must(t, err)
			must(t, s.Close())
			if got := log.count("watermark is damaged"); got != tt.warns {
				t.Errorf("%d warnings, want %d", got, tt.warns)
			}
			must(t, openStore(t, Options{Dir: dir}).Close())
		})
	}
}

// TestTicks_gap: batches that are missing in the middle are missed although the last one is there.
func TestTicks_gap(t *testing.T) {
	t.Parallel()
	dir := filledStore(t)
	s := openStore(t, Options{Dir: dir})
	must(t, s.db.Update(func(txn *engine.Txn) error { return txn.Delete(tickKey(2)) }))
	must(t, s.Close())
	_, err := tryStore(Options{Dir: dir, Sealer: secrettest.Ring()})
	wantSaid(t, err, "some of its latest writes are missing")
	if !errors.Is(err, ErrLost) {
		t.Errorf("%v is not ErrLost", err)
	}
	_, err = AcceptLoss(t.Context(), Options{Dir: dir, Sealer: secrettest.Ring()}, time.Now())
	must(t, err)
	s = openStore(t, Options{Dir: dir})
	must(t, s.CreateFlow(t.Context(), flowNamed("after")))
	must(t, s.Close())
	must(t, openStore(t, Options{Dir: dir}).Close())
}

// TestTicks_ring: numbers go on when the ring has gone round.
func TestTicks_ring(t *testing.T) {
	t.Parallel()
	dir := filledStore(t)
	s := openStore(t, Options{Dir: dir})
	at := s.writer.at.sequence
	batch := s.db.NewWriteBatch()
	for sequence := at + 1; sequence <= at+tickRing+10; sequence++ {
		must(t, batch.SetEntry(position{0, sequence}.tick()))
	}
	must(t, batch.Flush())
	s.writer.at.sequence = at + tickRing + 10
	must(t, s.Close())
	s = openStore(t, Options{Dir: dir})
	if s.writer.at.sequence != at+tickRing+10 {
		t.Errorf("the store is at %d", s.writer.at.sequence)
	}
	must(t, s.Close())
}

// TestWatermark_failedWrite: a store whose watermark cannot be written takes no more writes.
func TestWatermark_failedWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	must(t, s.watermark.file.Close())
	must(t, s.CreateFlow(t.Context(), flowNamed("stored")))
	if err := s.CreateFlow(t.Context(), flowNamed("refused")); !errors.Is(err, bridge.ErrReadOnly) {
		t.Errorf("got %v, want ErrReadOnly", err)
	}
	if err := s.Close(); err == nil {
		t.Error("closing says nothing of it")
	}
	if s := openClosed(t, Options{Dir: dir}); !hasFlow(t, s, "stored") {
		t.Error("a write that was acknowledged is lost")
	}
}

// TestWatermark_OP05_takesItsRoom: the file has all of its blocks from the first, or a disk that is full of something else
// would end writing.
func TestWatermark_OP05_takesItsRoom(t *testing.T) {
	t.Parallel()
	s := openClosed(t, Options{Dir: t.TempDir()})
	info, err := os.Stat(s.opts.Watermark)
	must(t, err)
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Blocks*512 < slots*slotBytes {
		t.Errorf("it takes %d bytes of %d", stat.Blocks*512, slots*slotBytes)
	}
}

// TestWatermark_OP14_failedCommit: a write that failed is not in the watermark, however the store is closed after it, or
// the next start would take it for one that was acknowledged and lost.
func TestWatermark_OP14_failedCommit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	must(t, s.CreateFlow(t.Context(), flowNamed("stored")))
	must(t, s.db.Close())
	if err := s.writer.do(t.Context(), putFlow(s, flowNamed("failed"))); err == nil {
		t.Fatal("a closed engine took a write")
	}
	must(t, s.Close())
	if s := openClosed(t, Options{Dir: dir}); !hasFlow(t, s, "stored") || hasFlow(t, s, "failed") {
		t.Error("what was acknowledged is not what is stored")
	}
}

// TestListing_follows the engine's list as it grows and is written anew.
func TestListing_follows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := follow(dir)
	if _, err := f.follow(); err == nil {
		t.Error("no error without a list")
	}
	for _, content := range []string{"one", "one, two", "one, two, three", "new", "new, too"} {
		overwrite(t, dir, engine.ManifestFilename, []byte(content))
		got, err := f.follow()
		must(t, err)
		want, err := follow(dir).follow()
		must(t, err)
		if got != want || !got.begins(dir) {
			t.Errorf("after %q: %v, want %v", content, got, want)
		}
	}
	known := f.known
	overwrite(t, dir, engine.ManifestFilename, []byte("new, t"))
	if known.begins(dir) || (listing{length: -1}).begins(dir) || (listing{length: 1 << 40}).begins(dir) {
		t.Error("a listing begins a list that is shorter")
	}
}

// TestListing_linked: a file that is open says by its links that its name is another's now, also where it has a second name, as
// in a copy that is made of links.
func TestListing_linked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list, anew := filepath.Join(dir, engine.ManifestFilename), filepath.Join(dir, "anew")
	overwrite(t, dir, engine.ManifestFilename, []byte("long"))
	f := follow(dir)
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"as it was", func() error { return nil }},
		{"linked", func() error { return os.Link(list, filepath.Join(dir, "copy")) }},
		{"written anew", func() error { return errors.Join(os.WriteFile(anew, []byte("anew"), 0o600), os.Rename(anew, list)) }},
		{"written anew without links", func() error { return errors.Join(os.WriteFile(anew, []byte("last"), 0o600), os.Rename(anew, list)) }},
	} {
		must(t, step.do())
		got, err := f.follow()
		must(t, err)
		if !got.begins(dir) {
			t.Errorf("%s: %v is not how the list begins", step.name, got)
		}
	}
	must(t, f.close())
}

// TestListing_writtenAnew: the engine writes its list anew, and gives that the name, whenever it likes.
func TestListing_writtenAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := bytes.Repeat([]byte("table "), 1000)
	short := long[:9]
	overwrite(t, dir, engine.ManifestFilename, long)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 1000 {
			content := long
			if i%2 == 0 {
				content = short
			}
			anew := filepath.Join(dir, "anew")
			if err := errors.Join(os.WriteFile(anew, content, 0o600), os.Rename(anew, filepath.Join(dir, engine.ManifestFilename))); err != nil {
				t.Error(err)
			}
		}
	}()
	f := follow(dir)
	for going := true; going; {
		got, err := f.follow()
		if err != nil || got.length > int64(len(long)) || got.digest != sha256.Sum256(long[:got.length]) {
			t.Errorf("a list of %d bytes that there never was, %v", got.length, err)
		}
		select {
		case <-done:
			going = false
		default:
		}
	}
}
