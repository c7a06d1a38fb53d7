package trinity

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestPauseAnswer_OT01(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		pauseAnswer(t.Context())
		if took := time.Since(began); took != 250*time.Millisecond {
			t.Errorf("an answer takes %v, want 250ms", took)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		began = time.Now()
		pauseAnswer(gone)
		if took := time.Since(began); took != 0 {
			t.Errorf("nobody is there, and the pause takes %v", took)
		}
	})
}
