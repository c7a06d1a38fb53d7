package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

const (
	noncePeriod = time.Minute     // how long all clients are given the same nonce
	nonceLife   = 5 * time.Minute // how long after the beginning of its period it is taken
	timeBytes   = 8
	macBytes    = 16
)

// Nonces makes and knows the nonces of a deployment (RFC 9449 §8). The first key makes them; all of them
// are known, so that a key can be replaced.
type Nonces struct {
	keys [][]byte
	now  func() time.Time
}

// NewNonces makes Nonces of one or more keys.
func NewNonces(keys [][]byte, now func() time.Time) *Nonces { return &Nonces{keys: keys, now: now} }

// Current is the nonce that clients shall use from now on.
func (n *Nonces) Current() string {
	var made [timeBytes + macBytes]byte
	period := n.now().Truncate(noncePeriod).Unix()
	binary.BigEndian.PutUint64(made[:], uint64(period)) //nolint:gosec // a time after 1970
	copy(made[timeBytes:], mac(n.keys[0], made[:timeBytes]))
	return base64.RawURLEncoding.EncodeToString(made[:])
}

// good reports whether a nonce is one of ours and recent. One that another replica's clock made a
// little ahead of ours is good, too.
func (n *Nonces) good(nonce string) bool {
	made, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(made) != timeBytes+macBytes {
		return false
	}
	authentic := false
	for _, key := range n.keys {
		authentic = hmac.Equal(made[timeBytes:], mac(key, made[:timeBytes])) || authentic
	}
	if !authentic {
		return false
	}
	age := n.now().Sub(time.Unix(int64(binary.BigEndian.Uint64(made)), 0)) //nolint:gosec // written by Current
	return age < nonceLife && age > -noncePeriod
}

func mac(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)[:macBytes]
}
