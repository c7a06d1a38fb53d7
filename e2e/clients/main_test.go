//go:build e2e || clients

package clients

import (
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// machine is set by TestMain before any test runs.
var machine programtest.Machine

func TestMain(m *testing.M) { programtest.Main(m, &machine, "../..") }
