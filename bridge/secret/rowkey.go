package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"github.com/abilityai/trinity-bridge/bridge"
)

var _ bridge.Sealer = (*Keyring)(nil)

const (
	rowKeyBytes = 32
	rowNonce    = 24
)

// RowKey seals the rows of one store with XAES-256-GCM (C2SP): AES-256-GCM under a key made from
// the first half of a random nonce of 192 bits. A key of plain GCM with random nonces wears out
// after 2^32 rows, which a busy store writes in weeks.
type RowKey struct {
	block  cipher.Block
	subkey [aes.BlockSize]byte // K1 of CMAC
	mac    []byte
}

// NewRowKey makes a random row key and wraps it under the current master secret.
func (k *Keyring) NewRowKey() (bridge.RowKey, []byte, error) {
	raw := make([]byte, rowKeyBytes)
	_, _ = rand.Read(raw) // never fails
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
	if len(raw) != rowKeyBytes {
		return nil, ErrOpen
	}
	return newRowKey(raw)
}

func newRowKey(raw []byte) (*RowKey, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("preparing a cipher: %w", err)
	}
	key := &RowKey{block: block, mac: derive(raw, "row mac")}
	block.Encrypt(key.subkey[:], key.subkey[:])
	carry := key.subkey[0]>>7 == 1
	for i := range key.subkey[:aes.BlockSize-1] {
		key.subkey[i] = key.subkey[i]<<1 | key.subkey[i+1]>>7
	}
	last := &key.subkey[aes.BlockSize-1]
	*last <<= 1
	if carry {
		*last ^= 0x87
	}
	return key, nil
}

// aead makes the cipher of the row a nonce belongs to.
func (k *RowKey) aead(nonce []byte) cipher.AEAD {
	var derived [2 * aes.BlockSize]byte
	for i := range 2 {
		half := derived[i*aes.BlockSize:][:aes.BlockSize]
		copy(half, []byte{0, byte(i + 1), 'X', 0})
		copy(half[4:], nonce[:12])
		subtle.XORBytes(half, half, k.subkey[:])
		k.block.Encrypt(half, half)
	}
	block, err := aes.NewCipher(derived[:])
	if err != nil { // only for keys of another length
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil { // only for ciphers with another block size
		panic(err)
	}
	return aead
}

// Seal encrypts a row for its place.
func (k *RowKey) Seal(place string, row []byte) []byte {
	sealed := make([]byte, rowNonce, rowNonce+len(row)+aes.BlockSize)
	_, _ = rand.Read(sealed) // never fails
	return k.aead(sealed).Seal(sealed, sealed[rowNonce/2:], row, []byte(place))
}

// Open decrypts a row at its place, or returns ErrOpen.
func (k *RowKey) Open(place string, sealed []byte) ([]byte, error) {
	if len(sealed) < rowNonce {
		return nil, ErrOpen
	}
	row, err := k.aead(sealed).Open(nil, sealed[rowNonce/2:rowNonce], sealed[rowNonce:], []byte(place))
	if err != nil {
		return nil, ErrOpen
	}
	return row, nil
}

// MAC is HMAC-SHA-256 of a value for one purpose, which must not contain a zero byte.
func (k *RowKey) MAC(purpose, value string) bridge.Hash {
	mac := hmac.New(sha256.New, k.mac)
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	mac.Write([]byte(value))
	return bridge.Hash(mac.Sum(nil))
}
