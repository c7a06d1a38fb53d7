package trinitytest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const stateVersion = 1

// load reads the state file, if one is named and there.
func (s *state) load() error {
	s.kept.Version = stateVersion
	if s.file == "" {
		return nil
	}
	data, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the simulated Trinity's state: %w", err)
	}
	// An error of the decoder may quote the file, which holds the JWT secret: name the file only.
	var kept keptState
	if json.Unmarshal(data, &kept, json.RejectUnknownMembers(true)) != nil || kept.Version != stateVersion {
		return fmt.Errorf("the simulated Trinity's state file %s is damaged or of another version; remove it to start afresh", s.file)
	}
	s.kept = kept
	return nil
}

// save replaces the state file as a whole, so that a crash leaves either the old or the new one. The
// caller holds mu or is alone.
func (s *state) save() error {
	if s.file == "" {
		return nil
	}
	data, err := json.Marshal(s.kept, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("encoding the simulated Trinity's state: %w", err)
	}
	if err := replaceFile(s.file, data); err != nil {
		return fmt.Errorf("writing the simulated Trinity's state: %w", err)
	}
	return nil
}

// replaceFile writes beside the file and renames, readable by the owner alone (os.CreateTemp's mode 0600).
func replaceFile(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
