package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	giveBackEvery = 5 * time.Second
	giveBackFrom  = 4 << 20 // bytes
)

// giveBack returns to the system what the program does not use any more, as long as it is calm. The runtime looks for it
// when as much has been allocated as is in use, and keeps much of it then: of a program that nobody calls, what its start
// and its jobs have left would count as its memory for hours.
func giveBack(ctx context.Context) {
	ticker := time.NewTicker(giveBackEvery)
	defer ticker.Stop()
	for before := memoryNow(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := memoryNow()
		if now.worthGivingBack(before) {
			debug.FreeOSMemory()
		}
		before = now
	}
}

// memory is what the runtime says of the program's.
type memory struct {
	cycles  uint64 // of the garbage collector, that the runtime has begun by itself
	objects uint64 // bytes of all that was allocated and not swept
	live    uint64 // bytes that were in use in the last cycle
	free    uint64 // bytes that are not in use, and were not returned
}

// worthGivingBack reports whether much is to be had. While the collector runs by itself the program is at work, and would
// take again what it gave.
func (m memory) worthGivingBack(before memory) bool {
	return m.cycles == before.cycles && m.free+m.objects >= m.live+giveBackFrom
}

func memoryNow() memory {
	samples := []metrics.Sample{
		{Name: "/gc/cycles/automatic:gc-cycles"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	return memory{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64(), samples[3].Value.Uint64()}
}
