package token

import "context"

// Settle is what Run does at each tick.
func (s *Signer) Settle(ctx context.Context) error { return s.settle(ctx) }

// How long a key is published before it signs, and stays in the list after it has retired.
const (
	PublishedAhead = publishedAhead
	KeptRetired    = keptRetired
)
