package tools

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

// maxDrift bounds what is remembered, whatever names an upstream makes up.
const maxDrift = 256

// Drift remembers which tools an upstream has that the catalogue does not know. Each is logged once.
// Use NewDrift.
type Drift struct {
	log  *slog.Logger
	mu   sync.Mutex
	seen map[string]bool
}

// NewDrift makes a Drift that logs to log.
func NewDrift(log *slog.Logger) *Drift { return &Drift{log: log, seen: map[string]bool{}} }

// Report takes the names of unknown tools.
func (d *Drift) Report(ctx context.Context, names []string) {
	if len(names) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range names {
		if d.seen[name] || len(d.seen) >= maxDrift {
			continue
		}
		d.seen[name] = true
		shown := name
		if !usableName(name) {
			shown = fmt.Sprintf("%.80q", name)
		}
		d.log.WarnContext(ctx, "Trinity has a tool that nobody has judged: it counts as destructive and needs trinity:admin. "+
			"`trinity-bridge tools audit` tells of all of them, `tools overlay` writes a file to judge them in", "tool", shown)
	}
}

// Count is how many were seen.
func (d *Drift) Count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.seen)
}
