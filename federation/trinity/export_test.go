package trinity

import "context"

// Round is one round of Run.
func (c *Custodian) Round(ctx context.Context) { c.round(ctx) }

// Search is one part of the walk that Run does beside its rounds.
func (c *Custodian) Search(ctx context.Context) { c.search(ctx) }
