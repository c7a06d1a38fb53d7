package badger

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// mappedBytes is what counts as the process's memory of the files it has mapped.
func mappedBytes() (int, error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, resident, shared int
	_, err = fmt.Sscan(string(statm), &size, &resident, &shared)
	return shared * os.Getpagesize(), err
}

// releaseMapped gives back the pages of some files in a folder that the process has mapped, all of which must stay so
// until it returns. They were mapped to be shared: what is in them is the file's, whatever becomes of the pages.
func releaseMapped(dir string, names map[string]bool) error {
	folder, err := filepath.Abs(dir)
	if err == nil {
		folder, err = filepath.EvalSymlinks(folder)
	}
	if err != nil {
		return err
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(maps)) {
		path, ok := strings.CutPrefix(strings.TrimSuffix(line[strings.IndexByte(line+"/", '/'):], "\n"), folder+"/")
		if !ok || !names[path] {
			continue
		}
		var from, to uintptr
		if _, err := fmt.Sscanf(line, "%x-%x ", &from, &to); err != nil {
			return err
		}
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("giving back the pages of %s: %w", path, errno)
		}
	}
	return nil
}
