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
	number int
	next   string   // the log after it, which each sync looks for
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
	l.next = l.path(l.number + 1)
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
	for !absent(l.next) {
		next, err := os.OpenFile(l.next, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err == nil {
			err = l.use(next)
			l.number++
			l.next = l.path(l.number + 1)
		}
		if err != nil {
			return fmt.Errorf("syncing the store's log: %w", err)
		}
	}
	if l.file == nil {
		file, err := os.OpenFile(l.path(l.number), os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("syncing the store's log: %w", err)
		}
		l.file = file
	}
	if err := dataSync(l.file); err != nil {
		return fmt.Errorf("syncing the store's log: %w", err)
	}
	if !l.named { // no promise of every file system's, and the engine makes a log without
		if err := syncFolder(l.dir); err != nil {
			return fmt.Errorf("syncing the name of the store's log: %w", err)
		}
		l.named = true
	}
	return nil
}

func (l *logSync) use(file *os.File) error {
	err := l.close()
	l.file, l.named = file, false
	return err
}

func (l *logSync) path(number int) string {
	return filepath.Join(l.dir, fmt.Sprintf("%05d.mem", number))
}

func (l *logSync) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
