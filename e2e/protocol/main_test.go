package protocol_test

import (
	"flag"
	"os"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// With replicas these tests wait for them to hear of each other more than they compute: four at once take little more
// than half the time of two, and each has connections to the database for each replica.
func TestMain(m *testing.M) {
	flag.Parse()
	if bridgetest.Replicas() > 0 {
		_ = flag.Set("test.parallel", "4")
	}
	os.Exit(m.Run())
}
