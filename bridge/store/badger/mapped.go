package badger

import (
	"errors"
	"time"

	engine "github.com/dgraph-io/badger/v4"
	enginetable "github.com/dgraph-io/badger/v4/table"
)

const (
	// mappedMost is how many bytes of mapped files, most of them tables, may count as the program's memory. The system
	// takes such pages back when somebody needs them, but not before, and it counts 16 pages where one was read: a large
	// store that is read here and there would count as a whole.
	mappedMost = 128 << 20
	// mappedEvery is how often that is looked at: a file of one line.
	mappedEvery = 100 * time.Millisecond
)

// watchMapped keeps the mapped tables within bounds until the store is closed.
func (s *Store) watchMapped() {
	most := s.opts.sizes().mapped
	ticker := time.NewTicker(mappedEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-ticker.C:
		}
		mapped, err := mappedBytes()
		if err == nil && mapped > most {
			err = s.unmapTables()
		}
		if errors.Is(err, errClosed) {
			return
		}
		if err != nil {
			s.opts.Logger.Debug("pages of tables are not given back: they count as memory of the program", "error", err)
			return
		}
	}
}

// unmapTables gives back what is mapped of the tables. It stays in the system's cache, and comes from there when it is
// read again.
func (s *Store) unmapTables() error {
	return s.view(func(t *tx) error {
		return s.pinned(t, func(tables map[string]bool) error { return releaseMapped(s.opts.Dir, tables) })
	})
}

// pinned calls use with the names of tables that stay mapped until it returns. The engine unmaps a table when it is
// merged away and nobody reads it, and what is mapped at the same address afterwards is not ours to give back: so the
// tables are held by an iterator over all of them, those that were there before and are there after it was made.
func (s *Store) pinned(t *tx, use func(map[string]bool) error) error {
	before := map[uint64]bool{}
	for _, table := range s.db.Tables() {
		before[table.ID] = true
	}
	it := t.iterator(engine.IteratorOptions{})
	defer it.Close()
	tables := map[string]bool{}
	for _, table := range s.db.Tables() {
		if before[table.ID] {
			tables[enginetable.IDToFilename(table.ID)] = true
		}
	}
	return use(tables)
}
