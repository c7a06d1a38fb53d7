package badger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// ErrLost says that the store lacks writes it had acknowledged: a file is damaged, or the folder was
// put back from a copy. It is not served from, since what was revoked or spent may be good again in it.
// AcceptLoss is the way on.
var ErrLost = errors.New("has lost writes it had acknowledged")

func lost(format string, args ...any) error {
	return fmt.Errorf("the store %w: %w; docs/storage.md says how to go on", ErrLost, fmt.Errorf(format, args...))
}

// errEmpty is the loss of everything: nothing may start afresh where something was (OP-13).
var errEmpty = lost("its folder is empty, and its watermark says that it was not")

// witness is what stands outside the engine when it is opened.
type witness struct {
	file    string // of the marks
	marks   marks
	matches [slots]bool // the slot's listing is the beginning of the engine's
	fits    bool        // the engine's listing and its tables fit each other without
	empty   bool        // there is no store
}

// readWitness looks at everything before the engine does, since that tidies up.
func readWitness(opts Options) (*witness, error) {
	content, err := readMarks(opts.Watermark)
	if err != nil || content == nil {
		return &witness{file: opts.Watermark}, err
	}
	w := &witness{file: opts.Watermark, marks: content}
	for i := range slots {
		if said, ok := content.slot(i, nil); ok {
			w.matches[i] = said.tables.begins(opts.Dir)
		}
	}
	w.fits = fits(opts.Dir)
	_, err = os.Stat(filepath.Join(opts.Dir, engine.ManifestFilename))
	w.empty = errors.Is(err, fs.ErrNotExist)
	return w, nil
}

// checkListing refuses a list of tables that no slot knows (OP-08): the engine would delete the tables that
// are not in it.
func (w *witness) checkListing() error {
	_, slot, found := w.marks.newest(nil)
	if w.empty {
		return errEmpty
	}
	if !found || w.matches[slot] || w.matches[1-slot] || w.fits {
		return nil
	}
	return lost("its list of tables is cut, or an older one")
}

// compare returns what the watermark said, and ErrLost when the store does not come up to it.
func (w *witness) compare(seal bridge.RowKey, at position, gap error) (position, error) {
	said, slot, found := w.marks.newest(seal)
	switch {
	case gap != nil:
		return said.position, lost("%w", gap)
	case !found && at != position{}:
		return said.position, lost("its watermark is gone or another one: %s", w.file)
	case !found:
		return said.position, nil
	case said.generation != at.generation:
		return said.position, lost("it is of generation %d, its watermark of %d", at.generation, said.generation)
	case at.sequence < said.sequence:
		return said.position, lost("it ends with write %d, its watermark with %d", at.sequence, said.sequence)
	case !w.matches[slot] && !w.fits:
		return said.position, lost("its list of tables is cut, or an older one")
	}
	return said.position, nil
}

// AcceptLoss opens a store that has lost writes, starts a new generation and closes it. It returns how
// many grants it ended. One that was cut short is done again by calling it again.
func AcceptLoss(ctx context.Context, opts Options, now time.Time) (grants int, err error) {
	s, err := open(opts, true)
	if err != nil {
		return 0, err
	}
	if grants, err = s.StartGeneration(ctx, now); err == nil {
		s.writer.close()
		err = s.keepWatermark(nil)
	}
	return grants, errors.Join(err, s.Close())
}

// Restore makes a store in an empty folder of what fill puts into it, as a new generation: later than any
// that fill's source had, and than the watermark, if there is one, says. It returns how many grants it
// ended. What was begun and not finished is to be removed by the caller.
func Restore(ctx context.Context, opts Options, source uint64, fill func(*Store) error, now time.Time) (grants int, err error) {
	opts.filling = true
	s, err := open(opts, true)
	if err != nil {
		return 0, err
	}
	if said, err := readMarks(s.opts.Watermark); err != nil || said != nil && s.seen == (position{}) {
		err = errors.Join(err, fmt.Errorf("the watermark %s is another store's: move it away first", s.opts.Watermark))
		return 0, errors.Join(err, s.Close())
	}
	s.seen.generation = max(s.seen.generation, source)
	if err = fill(s); err == nil {
		grants, err = s.StartGeneration(ctx, now)
	}
	if err == nil {
		s.writer.close()
		err = s.keepWatermark(nil)
	}
	return grants, errors.Join(err, s.Close())
}

// StartGeneration moves the store's generation on with its last write, so that one that was cut short
// is not taken for done.
func (s *Store) StartGeneration(ctx context.Context, now time.Time) (int, error) {
	ended, err := s.Store.StartGeneration(ctx, now)
	if err != nil {
		return ended, err
	}
	return ended, s.writer.do(ctx, func(t *tx) error {
		t.next.generation = max(t.next.generation, s.seen.generation) + 1
		from, err := rows.Encode(s.key, tickFromRow, t.next.sequence)
		return errors.Join(err, t.Put(rows.Row{Ref: tickFromRow, Record: from}))
	})
}
