package app

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// certificateEvery is how old a certificate may be that a connection is given, after somebody has put another in its place.
const certificateEvery = time.Minute

// certificate is the one of the public address, where the bridge ends TLS itself. Whatever renews it writes the files
// anew and knows nothing of the bridge: without looking again it would run on until it has expired.
type certificate struct {
	chain, key string
	log        *slog.Logger
	now        func() time.Time

	mu     sync.Mutex
	good   *tls.Certificate
	looked time.Time
}

// openCertificate reads the files, so that what is wrong with them is told before anything is served.
func openCertificate(chain, key string, log *slog.Logger, now func() time.Time) (*certificate, error) {
	c := &certificate{chain: chain, key: key, log: log, now: now}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("the certificate cannot be used (--tls-cert, --tls-key): %w", err)
	}
	return c, nil
}

func (c *certificate) read() error {
	pair, err := tls.LoadX509KeyPair(c.chain, c.key)
	if err != nil {
		return err
	}
	c.good, c.looked = &pair, c.now()
	return nil
}

// get gives the newest certificate that was good. Files that are not, such as one of two that is being replaced, are
// looked at again a minute later.
func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked).Abs() >= certificateEvery {
		c.looked = now
		if err := c.read(); err != nil {
			c.log.WarnContext(hello.Context(), "the certificate cannot be read anew, the one before stays", "error", err)
		}
	}
	return c.good, nil
}
