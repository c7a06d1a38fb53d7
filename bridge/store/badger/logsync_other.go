//go:build !linux

package badger

import "os"

// syncsItself: elsewhere than in Linux nothing says that a file's sync covers what was changed through a
// mapping, so that the engine syncs its mappings itself.
const syncsItself = false

func absent(*os.File, string) bool { return true }

func dataSync(file *os.File) error { return file.Sync() }
