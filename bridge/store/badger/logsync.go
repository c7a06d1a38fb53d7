package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// logSync syncs the engine's log after each transaction. A transaction lies whole in the log that is the newest
// when it is committed; the ones before it were synced with what was committed last to them. The logs are
// numbered, and a log that is gone is in a table, which the engine syncs.
type logSync struct {
	dir    string
	folder *os.File // dir
	number int
	next   string   // the name of the log after it, which each sync looks for
	file   *os.File // nil at first
	named  bool     // its name is on the disk
}

func newLogSync(dir string) (*logSync, error) {
	l := &logSync{dir: dir}
	if !syncsItself {
		return l, nil
	}
	var err error
	if l.number, _, err = newestLog(dir); err != nil {
		return nil, err
	}
	if l.folder, err = os.Open(dir); err != nil { //nolint:gosec // the operator names the folder
		return nil, err
	}
	l.next = logName(l.number + 1)
	return l, l.sync()
}

// newestLog is the number of the engine's newest log, and how many there are.
func newestLog(dir string) (newest, all int, err error) {
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return 0, 0, err
	}
	for _, log := range logs {
		var number int
		if _, err := fmt.Sscanf(filepath.Base(log), "%d.mem", &number); err != nil {
			return 0, 0, fmt.Errorf("looking at the store's logs: %w", err)
		}
		newest = max(newest, number)
	}
	return newest, len(logs), nil
}

// sync returns when all that is committed is on the disk. It must not run twice at a time, nor beside a
// commit.
func (l *logSync) sync() error {
	if !syncsItself {
		return nil
	}
	for !absent(l.folder, l.next) {
		next, err := os.OpenFile(filepath.Join(l.dir, l.next), os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err == nil {
			err = l.use(next)
			l.number++
			l.next = logName(l.number + 1)
		}
		if err != nil {
			return fmt.Errorf("syncing the store's log: %w", err)
		}
	}
	if l.file == nil {
		file, err := os.OpenFile(filepath.Join(l.dir, logName(l.number)), os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("syncing the store's log: %w", err)
		}
		l.file = file
	}
	if err := dataSync(l.file); err != nil {
		return fmt.Errorf("syncing the store's log: %w", err)
	}
	if !l.named { // no promise of every file system's, and the engine makes a log without
		if err := l.folder.Sync(); err != nil {
			return fmt.Errorf("syncing the name of the store's log: %w", err)
		}
		l.named = true
	}
	return nil
}

func (l *logSync) use(file *os.File) error {
	before := l.file
	l.file, l.named = file, false
	if before == nil {
		return nil
	}
	return before.Close()
}

func logName(number int) string { return fmt.Sprintf("%05d.mem", number) }

func (l *logSync) close() error {
	if l.folder == nil { // the engine syncs
		return nil
	}
	return errors.Join(l.use(nil), l.folder.Close())
}
