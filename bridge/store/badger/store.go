package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// ErrInUse says that another process, or another Store of this one, has the folder open.
var ErrInUse = errors.New("in use by another process")

// ErrSealed says that the master secret is not the one the store was made with.
var ErrSealed = errors.New("the configured secret is not the one this store was made with: nothing in it can be opened, and nothing was changed")

// Store is bridge.Store in one folder.
type Store struct {
	rows.Store
	rows.Watchers
	db     *engine.DB
	key    bridge.RowKey
	writer *writer
	opts   Options
	room   *room
	synced *logSync

	watermark *watermark // nil while a loss is being accepted
	seen      position   // what the watermark said when the store was opened

	swept      atomic.Uint64 // how many batches were written before the last sweep
	compacting chan struct{} // holds a token while all tables are merged, and for good once the store is closed
	done       chan struct{} // closed with the store

	mu     sync.RWMutex // held for reading by every read, so that Close can wait for them
	closed bool
}

var _ bridge.Store = (*Store)(nil)

// Open opens the store in a folder, or makes one where there is none yet.
//
// It returns ErrInUse at once when the folder is taken, and an error that names the reason when
// the disk is too full, when the folder holds something that is not a store of this program or was
// written by a newer one, when the engine cannot read it, and when writes are missing that were
// acknowledged (ErrLost). It never starts afresh over something it cannot read.
func Open(opts Options) (*Store, error) { return open(opts, false) }

// Fill opens a store that is being made of another, which nobody is served from before it is whole and opened again: the
// engine takes less memory, and works somewhat more.
func Fill(opts Options) (*Store, error) {
	opts.filling = true
	return Open(opts)
}

// open opens the store; accepting opens one that has lost writes, too, and leaves the watermark alone.
func open(opts Options, accepting bool) (*Store, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the store's folder: %w", err)
	}
	// The engine maps its files: on a full disk opening would end in a bus error (OP-06).
	room := &room{opts: opts}
	if err := room.check(); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	if err := checkFolder(opts.Dir); err != nil {
		return nil, err
	}
	before, err := readWitness(opts)
	if err == nil && !accepting {
		err = before.checkListing()
	}
	if err == nil {
		err = checkLayout(opts.Dir)
	}
	if err == nil {
		err = mend(opts)
	}
	if err == nil {
		err = checkList(opts.Dir)
	}
	if err != nil {
		return nil, err
	}
	db, err := openEngine(opts)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, opts: opts, room: room, compacting: make(chan struct{}, 1), done: make(chan struct{})}
	if err := s.accept(before, accepting); err != nil {
		return nil, fmt.Errorf("opening the store in %s: %w", opts.Dir, errors.Join(err, db.Close()))
	}
	s.writer.start()
	go s.watchMapped()
	return s, nil
}

// checkFolder refuses a folder with the engine's data but without its MANIFEST: the engine would
// take it for a new one and delete what it does not know.
func checkFolder(dir string) error {
	_, err := os.Stat(filepath.Join(dir, engine.ManifestFilename))
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking at the store's folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("looking at the store's folder: %w", err)
	}
	for _, entry := range entries {
		switch filepath.Ext(entry.Name()) {
		case ".sst", ".vlog", ".mem":
			return fmt.Errorf("the store in %s is damaged: it holds %s but no %s; restore it from a backup",
				dir, entry.Name(), engine.ManifestFilename)
		}
	}
	return nil
}

// openEngine opens the engine, once more for each log file that was left empty: a process that died
// between making and sizing one leaves it so, and a power cut all that were never synced. The engine refuses
// each once and has sized it by then (OP-02).
func openEngine(opts Options) (*engine.DB, error) {
	empty := emptyLogFiles(opts.Dir)
	db, err := openOnce(opts)
	for tries := len(empty); err != nil && tries > 0 && !lockTaken(err) && !errors.Is(err, errStuck); tries-- {
		opts.Logger.Warn("the store was left with an empty log file; opening it once more",
			"files", empty, "error", err)
		db, err = openOnce(opts)
	}
	if err != nil && lockTaken(err) {
		return nil, inUse(opts.Dir)
	}
	if errors.Is(err, errStuck) {
		return nil, fmt.Errorf("opening the store in %s: %w", opts.Dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store in %s (nothing was changed or replaced): %w", opts.Dir, err)
	}
	return db, nil
}

func inUse(dir string) error { return fmt.Errorf("the store in %s is %w", dir, ErrInUse) }

// lockTaken recognises the engine's words: it wraps no error that could be asked for.
func lockTaken(err error) bool {
	return strings.Contains(err.Error(), "Cannot acquire directory lock")
}

func emptyLogFiles(dir string) []string {
	var empty []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // opening will say so
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || info.Size() > 0 {
			continue
		}
		switch filepath.Ext(entry.Name()) {
		case ".vlog", ".mem":
			empty = append(empty, entry.Name())
		}
	}
	return empty
}

// accept checks what was opened before anything is served from it, and prepares the writer.
func (s *Store) accept(before *witness, accepting bool) error {
	if err := checkInForce(s.db.Opts(), s.opts.sizes()); err != nil {
		return err
	}
	var err error
	if s.key, err = unlock(s.db, s.opts, before.marks == nil || accepting); err != nil {
		return err
	}
	if s.synced, err = newLogSync(s.opts.Dir); err != nil {
		return err
	}
	s.Store = rows.New(transactions{s}, s.key, s.opts.Sealer)
	s.writer = &writer{
		db: s.db, log: s.opts.Logger, tell: s.Tell,
		space: s.room.check, sync: s.synced.sync,
	}
	err = s.db.View(func(txn *engine.Txn) (err error) {
		s.writer.at, err = readTicks(&tx{txn: txn}, s.key)
		return err
	})
	if err != nil && !errors.Is(err, errGap) {
		return err
	}
	var lost error
	if s.seen, lost = before.compare(s.key, s.writer.at, err); accepting {
		return nil
	}
	if lost != nil {
		return lost
	}
	if before.marks.damaged(s.key) {
		s.opts.Logger.Warn("half of the store's watermark is damaged; the other half is good, and it is written anew", "file", s.opts.Watermark)
	}
	return s.keepWatermark(before.marks)
}

// keepWatermark brings the watermark up to the store and lets the writer go on with it.
func (s *Store) keepWatermark(before marks) (err error) {
	if before == nil { // the folder may be new, and the watermark elsewhere
		if err := syncFolder(filepath.Dir(filepath.Clean(s.opts.Dir))); err != nil {
			return fmt.Errorf("syncing the name of the store's folder: %w", err)
		}
	}
	s.watermark, err = openWatermark(s.opts.Watermark, s.key, follow(s.opts.Dir), before, s.writer.at)
	if err == nil {
		s.writer.mark = s.watermark.put
	}
	return err
}

// Ping reports whether the store takes writes: nil, bridge.ErrReadOnly with the reason, or ctx's
// error when the writer is stuck.
func (s *Store) Ping(ctx context.Context) error {
	return s.writer.do(ctx, func(*tx) error { return nil })
}

// Close finishes the writes that wait, then the reads, and closes the engine. Closing again does
// nothing. On a disk that is full to the last, and while a long merge goes on, the engine is left as a
// crash would leave it, and an error says so: what it would still write out is in its log.
func (s *Store) Close() error {
	s.writer.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.done)
	err := s.closeEngine()
	if s.watermark == nil {
		return err
	}
	return errors.Join(err, s.watermark.close())
}

// closeEngine closes the engine unless that would end in a bus error or take longer than anybody waits.
func (s *Store) closeEngine() error {
	err := checkSpace(s.opts, closingBytes)
	if err == nil && !s.endCompacting() {
		err = errors.New("its tables are being merged")
	}
	if err != nil {
		return fmt.Errorf("closing the store without writing it out (nothing is lost, the next start reads the log): %w", err)
	}
	if err := errors.Join(s.synced.close(), s.db.Close()); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// Lead runs work: the one process on a folder leads.
func (s *Store) Lead(ctx context.Context, work func(context.Context)) { work(ctx) }

// transactions is rows.Engine.
type transactions struct{ s *Store }

// Read runs a closure on one state of the store.
func (e transactions) Read(ctx context.Context, run func(rows.Tx) error) error {
	return e.view(ctx, func(t *tx) error { return run(t) })
}

func (e transactions) view(ctx context.Context, run func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return e.s.view(run)
}

// view runs a closure on what is committed, and keeps the engine open meanwhile.
func (s *Store) view(run func(*tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return errClosed
	}
	return s.db.View(func(txn *engine.Txn) error { return run(&tx{txn: txn}) })
}

// ReadRow returns the record of one row.
func (e transactions) ReadRow(ctx context.Context, row rows.Ref) (record []byte, err error) {
	err = e.Read(ctx, func(t rows.Tx) (err error) {
		record, err = t.Get(row)
		return err
	})
	return record, err
}

// Find returns the rows an index leads to.
func (e transactions) Find(ctx context.Context, scan rows.Scan) (found []rows.Found, err error) {
	err = e.Read(ctx, func(t rows.Tx) (err error) {
		found, err = t.Scan(scan)
		return err
	})
	return found, err
}

// Swap stores a row if the one it replaces is as it was.
func (e transactions) Swap(ctx context.Context, before []byte, row rows.Row) (done bool, err error) {
	err = e.Write(ctx, func(t rows.Tx) error {
		there, err := t.Get(row.Ref)
		if done = bytes.Equal(there, before); err != nil || !done {
			return err
		}
		return t.Put(row)
	})
	return done, err
}

// Write hands a closure to the writer.
func (e transactions) Write(ctx context.Context, run func(rows.Tx) error) error {
	return e.s.writer.doAhead(ctx, func(t *tx) error { return run(t) })
}
