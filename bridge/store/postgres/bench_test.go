package postgres_test

import (
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
)

func BenchmarkStore(b *testing.B) {
	storetest.Benchmark(b, func(b testing.TB) bridge.Store { return openClosed(b, server.Database(b)) })
}
