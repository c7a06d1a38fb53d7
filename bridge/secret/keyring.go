package secret

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// MinMasterBytes is the least a master secret must hold; below it the program refuses to start.
const MinMasterBytes = 32

// ErrOpen means that a sealed value does not belong where it was found, or that the master
// secret is not the one it was sealed under.
var ErrOpen = errors.New("a sealed value cannot be opened with the configured secret")

const (
	sealVersion = 1
	keyIDBytes  = 4
)

// Keyring seals and opens values under a master secret. The first secret seals; all of them
// open, so that a secret can be replaced while both are live.
type Keyring struct {
	keys []ringKey
}

type ringKey struct {
	id     [keyIDBytes]byte
	master []byte
	aead   cipher.AEAD
}

// NewKeyring makes a keyring of one or more master secrets of at least MinMasterBytes each.
func NewKeyring(masters ...[]byte) (*Keyring, error) {
	if len(masters) == 0 {
		return nil, errors.New("a keyring needs a master secret")
	}
	ring := &Keyring{}
	for _, master := range masters {
		if len(master) < MinMasterBytes {
			return nil, fmt.Errorf("a master secret needs at least %d bytes, this one has %d", MinMasterBytes, len(master))
		}
		key := ringKey{master: bytes.Clone(master)}
		copy(key.id[:], derive(master, "key id"))
		aead, err := newAEAD(derive(master, "sealing"))
		if err != nil {
			return nil, err
		}
		key.aead = aead
		ring.keys = append(ring.keys, key)
	}
	return ring, nil
}

// Derive returns 32 bytes for one purpose from the first master secret: the same for the same
// purpose as long as that secret is used.
func (k *Keyring) Derive(purpose string) []byte { return derive(k.keys[0].master, purpose) }

// DeriveAll returns Derive for every master secret, the current one first.
func (k *Keyring) DeriveAll(purpose string) [][]byte {
	all := make([][]byte, len(k.keys))
	for i, key := range k.keys {
		all[i] = derive(key.master, purpose)
	}
	return all
}

// Seal encrypts plain for the row (kind, id) with AES-256-GCM and a random nonce. The result
// opens only for the same row.
func (k *Keyring) Seal(kind, id string, plain []byte) []byte {
	key := k.keys[0]
	sealed := append([]byte{sealVersion}, key.id[:]...)
	return key.aead.Seal(sealed, nil, plain, rowData(kind, id))
}

// Open decrypts what Seal made for the same row, or returns ErrOpen.
func (k *Keyring) Open(kind, id string, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+keyIDBytes || sealed[0] != sealVersion {
		return nil, ErrOpen
	}
	for _, key := range k.keys {
		if !bytes.Equal(key.id[:], sealed[1:1+keyIDBytes]) {
			continue
		}
		plain, err := key.aead.Open(nil, nil, sealed[1+keyIDBytes:], rowData(kind, id))
		if err != nil {
			return nil, ErrOpen
		}
		return plain, nil
	}
	return nil, ErrOpen
}

// Current reports whether a value says that it was sealed under the first secret.
func (k *Keyring) Current(sealed []byte) bool {
	return len(sealed) >= 1+keyIDBytes && sealed[0] == sealVersion && bytes.Equal(sealed[1:1+keyIDBytes], k.keys[0].id[:])
}

// Reseal seals a value anew under the first secret, or returns ErrOpen.
func (k *Keyring) Reseal(kind, id string, sealed []byte) ([]byte, error) {
	plain, err := k.Open(kind, id, sealed)
	if err != nil {
		return nil, err
	}
	return k.Seal(kind, id, plain), nil
}

// Exchanging reports whether a secret is live besides the first one.
func (k *Keyring) Exchanging() bool { return len(k.keys) > 1 }

// SealToken is Seal for a bearer value.
func (k *Keyring) SealToken(kind, id string, token Token) []byte {
	return k.Seal(kind, id, token.pack())
}

// OpenToken is Open for a bearer value. An empty value is an error: it would authenticate nobody.
func (k *Keyring) OpenToken(kind, id string, sealed []byte) (Token, error) {
	plain, err := k.Open(kind, id, sealed)
	if err != nil {
		return Token{}, err
	}
	if len(plain) == 0 {
		return Token{}, ErrOpen
	}
	return unpack(plain), nil
}

// Fingerprint names a secret in logs: 8 hex digits that only this deployment can compute.
func (k *Keyring) Fingerprint(token Token) string {
	mac := hmac.New(sha256.New, k.Derive("fingerprint"))
	mac.Write([]byte(token.value))
	return hex.EncodeToString(mac.Sum(nil)[:4])
}

// SealUnder encrypts plain so that only the holder of token can read it: what a refresh token's
// predecessor needs to learn its successor again, and a stolen store cannot.
func SealUnder(token, plain Token) ([]byte, error) {
	aead, err := newAEAD(derive([]byte(token.value), "successor"))
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, []byte(plain.value), nil), nil
}

// OpenUnder reads what SealUnder made with the same token.
func OpenUnder(token Token, sealed []byte) (Token, error) {
	aead, err := newAEAD(derive([]byte(token.value), "successor"))
	if err != nil {
		return Token{}, err
	}
	plain, err := aead.Open(nil, nil, sealed, nil)
	if err != nil || len(plain) == 0 {
		return Token{}, ErrOpen
	}
	return Token{value: string(plain)}, nil
}

func derive(master []byte, purpose string) []byte { return deriveBytes(master, purpose, 32) }

func deriveBytes(master []byte, purpose string, length int) []byte {
	key, err := hkdf.Key(sha256.New, master, nil, "trinity-bridge "+purpose, length)
	if err != nil { // only for lengths HKDF cannot give
		panic(err)
	}
	return key
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("preparing a cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("preparing a cipher: %w", err)
	}
	return aead, nil
}

func rowData(kind, id string) []byte { return []byte(kind + "\x00" + id) }
