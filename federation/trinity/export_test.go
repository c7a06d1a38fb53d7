package trinity

import "context"

// Round is one round of Run.
func (c *Custodian) Round(ctx context.Context) { c.round(ctx) }
