package protocol_test

import (
	"flag"
	"os"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// With replicas these tests wait for them to hear of each other more than they compute: six at once take half the time
// of two.
func TestMain(m *testing.M) {
	flag.Parse()
	if bridgetest.Replicas() > 0 {
		_ = flag.Set("test.parallel", "6")
	}
	os.Exit(m.Run())
}
