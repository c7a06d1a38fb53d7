package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// warnEvery is how often a replica says that its clock is wrong.
const warnEvery = time.Minute

// clock is how far the clock of this machine is from the server's, which stands for those of all replicas. With clocks
// that differ by more than what a code or the grace of a refresh token lasts, one replica refuses what another has just
// given out, or takes the repetition of a refresh for theft and ends the connection.
type clock struct {
	ahead  time.Duration // less than 0 when it is behind
	warned time.Time
}

// read takes what the server said between two readings of our own.
func (c *clock) read(before, server, after time.Time) {
	switch {
	case server.Before(before):
		c.ahead = before.Sub(server)
	case server.After(after):
		c.ahead = after.Sub(server)
	default:
		c.ahead = 0
	}
}

// check returns an error when the clocks are too far apart.
func (c *clock) check() error {
	off, where := c.ahead, "ahead of"
	if off < 0 {
		off, where = -off, "behind"
	}
	if off <= bridge.Leeway {
		return nil
	}
	return fmt.Errorf("the clock of this machine is %s %s the database's: replicas have to agree on the time", off.Round(time.Second), where)
}

// warn says now and then that they are.
func (s *Store) warn(ctx context.Context, c *clock) {
	err := c.check()
	if err == nil || time.Since(c.warned) < warnEvery {
		return
	}
	c.warned = time.Now()
	s.log.WarnContext(ctx, "connections may end and codes be refused", "error", err)
}
