package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"sync"

	"github.com/abilityai/trinity-bridge/bridge"
)

var _ bridge.Sealer = (*Keyring)(nil)

const rowKeyBytes = 32

// RowKey seals the rows of one store with AES-SIV.
type RowKey struct {
	siv  siv
	old  *xaes
	macs sync.Pool // of HMACs under its key, which take as long to make as a short text to read
	base string
}

// NewRowKey makes a random row key and wraps it, and base behind it, under the current master secret.
func (k *Keyring) NewRowKey(base string) (bridge.RowKey, []byte, error) {
	raw := make([]byte, rowKeyBytes, rowKeyBytes+len(base))
	_, _ = rand.Read(raw) // never fails
	raw = append(raw, base...)
	key, err := newRowKey(raw)
	if err != nil {
		return nil, nil, err
	}
	return key, k.Seal(bridge.SealedRowKey, "", raw), nil
}

// OpenRowKey unwraps a row key, or returns ErrOpen.
func (k *Keyring) OpenRowKey(wrapped []byte) (bridge.RowKey, error) {
	raw, err := k.Open(bridge.SealedRowKey, "", wrapped)
	if err != nil {
		return nil, err
	}
	if len(raw) < rowKeyBytes {
		return nil, ErrOpen
	}
	return newRowKey(raw)
}

// newRowKey makes all keys but that of before of both what is random and the base, so that nothing opens with another one.
func newRowKey(raw []byte) (*RowKey, error) {
	old, err := newXAES(raw[:rowKeyBytes])
	if err != nil {
		return nil, err
	}
	mac := derive(raw, "row mac")
	return &RowKey{
		siv: newSIV(raw, "row siv"), old: old, macs: sync.Pool{New: func() any { return hmac.New(sha256.New, mac) }}, base: string(raw[rowKeyBytes:]),
	}, nil
}

// Seal encrypts a row for its place.
func (k *RowKey) Seal(place string, row []byte) []byte { return k.siv.seal([]byte(place), row) }

// Open decrypts a row at its place, or returns ErrOpen.
func (k *RowKey) Open(place string, sealed []byte) ([]byte, error) {
	return k.siv.open([]byte(place), sealed)
}

// OpenOld decrypts a row that was sealed with XAES-256-GCM, or returns ErrOpen.
func (k *RowKey) OpenOld(place string, sealed []byte) ([]byte, error) {
	return k.old.open([]byte(place), sealed)
}

// MAC is HMAC-SHA-256 of a value for one purpose, which must not contain a zero byte.
func (k *RowKey) MAC(purpose, value string) bridge.Hash {
	mac, _ := k.macs.Get().(hash.Hash) // the pool holds nothing else
	defer k.macs.Put(mac)
	mac.Reset()
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	mac.Write([]byte(value))
	var sum bridge.Hash
	mac.Sum(sum[:0])
	return sum
}

// Base is the text that was wrapped with the key.
func (k *RowKey) Base() string { return k.base }
