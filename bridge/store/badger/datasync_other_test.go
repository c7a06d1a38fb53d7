//go:build !linux

package badger

import "os"

func dataSync(file *os.File) error { return file.Sync() }
