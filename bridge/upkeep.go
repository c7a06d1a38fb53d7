package bridge

import (
	"context"
	"io"
	"time"
)

// Upkeep is what the operator does with a whole store. None of it keeps others waiting.
type Upkeep interface {
	// Reseal seals anew, under the current master secret, what is sealed under another one that is live, in
	// up to limit rows behind after; "" is the beginning. Callers go on with what it returns as Next until
	// that is "" again, and begin anew while a walk has found something: what was written meanwhile by a
	// replica with the other secret may lie behind it. Doing it again does no harm.
	Reseal(ctx context.Context, after string, limit int, now time.Time) (Resealed, error)
	// Backup writes one state of the store as a sealed stream. Only what it returned no error for is whole.
	Backup(ctx context.Context, to io.Writer, now time.Time) error
	// Verify reads one state of the store whole: every row opens at its place, and every value in it that is
	// sealed by itself; indexes lead to every row from its places, and from nowhere else.
	Verify(ctx context.Context, now time.Time) (StoreReport, error)
	// Stats counts what is in one state of the store.
	Stats(ctx context.Context, now time.Time) (StoreStats, error)
}

// Resealed is what a part of Reseal came to.
type Resealed struct {
	Next   string `json:"next"`   // where to go on; "" at the end
	Values int    `json:"values"` // sealed values looked at
	Anew   int    `json:"anew"`   // of them sealed anew
	Lost   int    `json:"lost"`   // of them opened by no secret, and left alone
}

// StoreReport is what Verify found.
type StoreReport struct {
	Rows   map[string]int `json:"rows"` // by kind
	Sealed int            `json:"sealed"`
	Lost   int            `json:"lost"`           // of them opened by no secret that is live
	Faults int            `json:"faults"`         // those among them
	First  []string       `json:"first,omitzero"` // of the faults
}

// StoreStats is what is in a store.
type StoreStats struct {
	Kinds []KindStats `json:"kinds"`
	Rows  int         `json:"rows"`
	Bytes int64       `json:"bytes"`
	Disk  StoreDisk   `json:"disk"`
}

// KindStats is what is in a store of one kind.
type KindStats struct {
	Kind    string    `json:"kind"`
	Rows    int       `json:"rows"`
	Bytes   int64     `json:"bytes"`
	Overdue int       `json:"overdue"`         // wait to be swept
	Oldest  time.Time `json:"oldest,omitzero"` // when the oldest was made; zero for kinds that do not say
	DueFrom time.Time `json:"due_from"`        // since when the longest overdue has been; zero for none
}

// StoreDisk is what an engine knows of itself.
type StoreDisk struct {
	Engine     string `json:"engine"`
	Bytes      int64  `json:"bytes"`               // on the disk, with what is dead and not yet given back
	Generation uint64 `json:"generation,omitzero"` // how often a loss was accepted; with Writes where the watermark stands
	Writes     uint64 `json:"writes,omitzero"`
}
