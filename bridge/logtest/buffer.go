// Package logtest keeps what a running program writes, for a test that reads it meanwhile.
package logtest

import (
	"bytes"
	"sync"
)

// A Buffer is a bytes.Buffer that several goroutines may use at once.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String is all that was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
