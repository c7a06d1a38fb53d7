//go:build !linux

package badger

import "errors"

func mappedBytes() (int, error) { return 0, errors.ErrUnsupported }

func releaseMapped(string, map[string]bool) error { return errors.ErrUnsupported }
