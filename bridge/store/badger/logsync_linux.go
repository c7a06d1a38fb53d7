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

// absent reports that there is no file: each sync asks for one that most often is not there, and opening that costs twice
// as much.
func absent(path string) bool { return errors.Is(syscall.Access(path, 0), syscall.ENOENT) }

// dataSync is fdatasync. In Linux it also writes what was changed through a mapping of the file.
func dataSync(file *os.File) error {
	for {
		if err := syscall.Fdatasync(int(file.Fd())); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
