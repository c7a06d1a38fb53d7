package badger

import (
	"errors"
	"os"
	"syscall"
)

// syncsItself: the store syncs what the engine has written. The engine does so twice for each
// transaction, the second time a log of long values that holds none, and that is two thirds of the price
// of the first.
const syncsItself = true

// absent reports that a folder has no file of a name: each sync asks for one that most often is not there. Opening it costs four times
// as much, and asking for its whole path twice.
func absent(folder *os.File, name string) bool {
	return errors.Is(syscall.Faccessat(int(folder.Fd()), name, 0, 0), syscall.ENOENT)
}

// dataSync is fdatasync. In Linux it also writes what was changed through a mapping of the file.
func dataSync(file *os.File) error {
	for {
		if err := syscall.Fdatasync(int(file.Fd())); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
