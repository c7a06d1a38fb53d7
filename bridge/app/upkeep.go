package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/durable"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// upkeepTimeout is for what reads a store whole.
const upkeepTimeout = 30 * time.Minute

// RunningUpkeep returns the bridge that runs on a data folder, which looks after its store; nil when none is running.
func RunningUpkeep(ctx context.Context, data string) bridge.Upkeep {
	err := Health(ctx, data)
	if errors.Is(err, errNotRunning) || errors.Is(err, outbound.ErrUnreachable) { // one that was killed leaves its word behind
		return nil
	}
	return served{data}
}

// OpenUpkeep opens the store of a deployment, for looking after it while no bridge runs. Close it.
func OpenUpkeep(ctx context.Context, cfg *config.Config, log *slog.Logger) (upkeep bridge.Upkeep, shut func() error, err error) {
	b := &Bridge{config: cfg, log: log}
	if err := b.unlock(ctx, nil); err != nil {
		return nil, nil, err
	}
	if err := b.inPlace(); err != nil {
		return nil, nil, err
	}
	store, err := b.openEngine(ctx)
	if err != nil {
		return nil, nil, err
	}
	return store, store.Close, nil
}

// inPlace refuses to look after the store of a data folder that has none: opening makes one, in which nothing is wrong,
// and a backup of nothing looks like one. Of a store that was lost its watermark knows.
func (b *Bridge) inPlace() error {
	if b.config.Store != "" {
		return nil
	}
	if _, err := os.Stat(b.watermark()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	files, err := os.ReadDir(b.storeFolder())
	if len(files) == 0 && (err == nil || errors.Is(err, os.ErrNotExist)) {
		return fmt.Errorf("there is no store in %s", b.config.Data)
	}
	return err
}

// vacate wants nothing at the place of a store that is about to be made. An empty folder, as a start that was refused
// leaves it, is nothing.
func vacate(place string) error {
	if err := syscall.Rmdir(place); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is there already: move it away first", place)
	}
	return nil
}

// WriteBackup makes a backup in a new file, which has its name only when it is whole and on the disk.
func WriteBackup(ctx context.Context, from bridge.Upkeep, path string) (bytes int64, err error) {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return 0, errors.Join(fmt.Errorf("%s is there already", path), err)
	}
	part, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-") // with mode 0600
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
	}()
	if err := from.Backup(ctx, part, time.Now()); err != nil {
		return 0, errors.Join(err, part.Close())
	}
	if _, err = part.Seek(0, io.SeekStart); err == nil {
		err = secret.WholeStream(bufio.NewReader(part))
	}
	if err == nil {
		bytes, err = part.Seek(0, io.SeekEnd)
	}
	if err = errors.Join(err, part.Sync(), part.Close()); err != nil {
		return 0, fmt.Errorf("writing the backup: %w", err)
	}
	return bytes, durable.Name(part.Name(), path)
}

// served is the bridge.Upkeep of a bridge that runs on a data folder. Times are its own.
type served struct{ data string }

// Reseal does a part.
func (s served) Reseal(ctx context.Context, after string, _ int, _ time.Time) (done bridge.Resealed, err error) {
	return done, callOperator(ctx, s.data, http.MethodPost, "/keys/reseal", url.Values{"after": {after}}, &done)
}

// Backup passes on what the bridge writes.
func (s served) Backup(ctx context.Context, to io.Writer, _ time.Time) error {
	operator, err := reachOperator(ctx, s.data, 0)
	if err != nil {
		return err
	}
	answer, err := operator.client.Download(ctx, "/store/backup", operator.header, to)
	if err != nil {
		return err
	}
	return refusal(answer)
}

// Verify has the bridge verify its store.
func (s served) Verify(ctx context.Context, _ time.Time) (report bridge.StoreReport, err error) {
	return report, s.read(ctx, "/store/verify", &report)
}

// Stats has the bridge count.
func (s served) Stats(ctx context.Context, _ time.Time) (stats bridge.StoreStats, err error) {
	return stats, s.read(ctx, "/store/stats", &stats)
}

func (s served) read(ctx context.Context, path string, into any) error {
	operator, err := reachOperator(ctx, s.data, upkeepTimeout)
	if err != nil {
		return err
	}
	return operator.call(ctx, http.MethodGet, path, nil, nil, into)
}

// backup streams a backup. One that fails on the way breaks the connection off, so that nobody takes what
// has come for all of it.
func (o *operator) backup(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	to := &taken{to: w, control: http.NewResponseController(w), ctx: r.Context()}
	stop := context.AfterFunc(r.Context(), to.giveUp)
	defer stop()
	if err := o.store.Backup(r.Context(), to, o.now()); err != nil {
		o.log.ErrorContext(r.Context(), "a backup could not be made", "error", err)
		panic(http.ErrAbortHandler)
	}
	o.log.InfoContext(r.Context(), "a backup was made")
}

// backupTaken is how long who asked for a backup may take nothing of it: one that was stopped would keep the store from
// being closed, and what is merged away in it on the disk.
const backupTaken = time.Minute

// taken is an answer that has to be taken, and ends with its request.
type taken struct {
	to      io.Writer
	control *http.ResponseController
	ctx     context.Context //nolint:containedctx // of the request it answers
}

func (t *taken) Write(p []byte) (int, error) {
	if err := errors.Join(t.control.SetWriteDeadline(time.Now().Add(backupTaken)), t.ctx.Err()); err != nil {
		return 0, err
	}
	return t.to.Write(p)
}

// giveUp ends a write that waits.
func (t *taken) giveUp() { _ = t.control.SetWriteDeadline(time.Now()) }

func (o *operator) verify(w http.ResponseWriter, r *http.Request) {
	report, err := o.store.Verify(r.Context(), o.now())
	if err != nil {
		o.failed(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(report)
}

func (o *operator) stats(w http.ResponseWriter, r *http.Request) {
	stats, err := o.store.Stats(r.Context(), o.now())
	if err != nil {
		o.failed(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(stats)
}
