//go:build !linux

package storetest

import "os"

func dataSync(file *os.File) error { return file.Sync() }
