//go:build !linux

package store_test

import "os"

func dataSync(file *os.File) error { return file.Sync() }
