package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Name gives a file that is whole and on the disk another name of the same file system, and returns when that is on the
// disk, too. The file loses the name it had, unless there is an error. It replaces nothing: fs.ErrExist.
func Name(file, name string) error {
	err := os.Link(file, name) // unlike a renaming it replaces nothing
	switch {
	case errors.Is(err, fs.ErrExist):
		return err
	case err == nil:
		err = os.Remove(file)
	default: // memory cards and some shared folders know one name of a file only
		err = claim(file, name)
	}
	if err != nil {
		return err
	}
	return Folder(filepath.Dir(name))
}

// claim takes a name that is free and then puts the file there. Who dies in between leaves an empty file.
func claim(file, name string) error {
	empty, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	if err := errors.Join(empty.Close(), os.Rename(file, name)); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// Folder returns when the names in a folder are on the disk.
func Folder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the operator names the folder
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
