package badger

import (
	"fmt"
	"syscall"
)

// freeSpace returns the bytes an ordinary user may still write below dir.
func freeSpace(dir string) (uint64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize), nil //nolint:gosec,unconvert // the fields' types differ between systems; neither is negative
}

// checkSpace returns an error that says how little is free when it is less than needed bytes.
func checkSpace(opts Options, needed uint64) error {
	free, err := opts.freeSpace(opts.Dir)
	if err != nil {
		return err
	}
	if free < needed {
		return fmt.Errorf("%d MiB are free in %s, at least %d MiB are needed", free>>20, opts.Dir, needed>>20)
	}
	return nil
}
