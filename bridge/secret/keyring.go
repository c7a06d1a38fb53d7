package secret

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// MinMasterBytes is the least a master secret must hold; below it the program refuses to start.
const MinMasterBytes = 32

// ErrOpen means that a sealed value does not belong where it was found, or that the master
// secret is not the one it was sealed under.
var ErrOpen = errors.New("a sealed value cannot be opened with the configured secret")

// The first byte of a sealed value.
const (
	sealedGCM   = 1 // AES-256-GCM with a random nonce: of programs of before, only opened
	sealedSIV   = 2 // AES-SIV
	sealedFresh = 3 // AES-SIV, and random bytes in the head
	sealedKey   = 4 // AES-SIV, of a Trinity key's random bytes
)

// The head of a sealed value says how it is sealed, under which secret, and what else is random.
const (
	keyIDBytes = 4
	headBytes  = 1 + keyIDBytes
	freshBytes = 12
)

// Keyring seals and opens values under a master secret. The first secret seals; all of them
// open, so that a secret can be replaced while both are live.
type Keyring struct {
	keys []ringKey
}

type ringKey struct {
	id     [keyIDBytes]byte
	master []byte
	siv    siv
	gcm    cipher.AEAD
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
		key := ringKey{master: bytes.Clone(master), siv: newSIV(master, "sealing siv"), gcm: newGCM(derive(master, "sealing"), cipher.NewGCMWithRandomNonce)}
		copy(key.id[:], derive(master, "key id"))
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

// Seal encrypts plain for the row (kind, id); the result opens only for that. The same plain is sealed to the same bytes
// there, so that this is for what is stored.
func (k *Keyring) Seal(kind, id string, plain []byte) []byte {
	return k.keys[0].seal(sealedSIV, kind, id, plain)
}

// SealFresh is Seal with random bytes besides, for what leaves the program: there nobody can tell whether two values say the
// same, and two requests that do get two references.
func (k *Keyring) SealFresh(kind, id string, plain []byte) []byte {
	return k.keys[0].seal(sealedFresh, kind, id, plain)
}

// Open decrypts what Seal or SealFresh made for the same row, or returns ErrOpen.
func (k *Keyring) Open(kind, id string, sealed []byte) ([]byte, error) {
	head, rest := cutHead(sealed)
	for _, key := range k.keys {
		if !key.named(head) {
			continue
		}
		if head[0] == sealedGCM {
			return openGCM(key.gcm, nil, rest, rowData(nil, kind, id))
		}
		return key.siv.open(rowData(head, kind, id), rest)
	}
	return nil, ErrOpen
}

// Current reports whether a value says that it was sealed under the first secret.
func (k *Keyring) Current(sealed []byte) bool {
	head, _ := cutHead(sealed)
	return k.keys[0].named(head)
}

// Reseal seals a value anew under the first secret, or returns ErrOpen.
func (k *Keyring) Reseal(kind, id string, sealed []byte) ([]byte, error) {
	plain, err := k.Open(kind, id, sealed)
	if err != nil {
		return nil, err
	}
	how := max(sealed[0], sealedSIV) // as it is, unless that is not made any more
	return k.keys[0].seal(how, kind, id, plain), nil
}

// seal makes a head, and seals plain for the row and the head.
func (k *ringKey) seal(how byte, kind, id string, plain []byte) []byte {
	head := append([]byte{how}, k.id[:]...)
	if how == sealedFresh {
		head = append(head, make([]byte, freshBytes)...)
		_, _ = rand.Read(head[headBytes:]) // never fails
	}
	return append(head, k.siv.seal(rowData(head, kind, id), plain)...)
}

// named reports whether a head names the key.
func (k *ringKey) named(head []byte) bool {
	return len(head) >= headBytes && bytes.Equal(k.id[:], head[1:headBytes])
}

// cutHead splits a sealed value; the head of what is none is nil.
func cutHead(sealed []byte) (head, rest []byte) {
	length := headBytes
	switch {
	case len(sealed) == 0 || sealed[0] < sealedGCM || sealed[0] > sealedKey:
		return nil, nil
	case sealed[0] == sealedFresh:
		length += freshBytes
	}
	if len(sealed) < length {
		return nil, nil
	}
	return sealed[:length], sealed[length:]
}

// Exchanging reports whether a secret is live besides the first one.
func (k *Keyring) Exchanging() bool { return len(k.keys) > 1 }

// SealToken is Seal for a bearer value. A Trinity key, which each grant holds, is sealed as its random bytes.
func (k *Keyring) SealToken(kind, id string, token Token) []byte {
	if raw, ok := token.trinityKey(); ok {
		return k.keys[0].seal(sealedKey, kind, id, raw)
	}
	return k.Seal(kind, id, []byte(token.value))
}

// OpenToken is Open for a bearer value. An empty value is an error: it would authenticate nobody.
func (k *Keyring) OpenToken(kind, id string, sealed []byte) (Token, error) {
	plain, err := k.Open(kind, id, sealed)
	switch {
	case err != nil:
		return Token{}, err
	case len(plain) == 0:
		return Token{}, ErrOpen
	case sealed[0] == sealedKey:
		return trinityKeyOf(plain), nil
	case isOldKey(plain):
		return trinityKeyOf(plain[1:]), nil
	}
	return New(string(plain)), nil
}

// Fingerprint names a secret in logs: 8 hex digits that only this deployment can compute.
func (k *Keyring) Fingerprint(token Token) string {
	mac := hmac.New(sha256.New, k.Derive("fingerprint"))
	mac.Write([]byte(token.value))
	return hex.EncodeToString(mac.Sum(nil)[:4])
}

func derive(master []byte, purpose string) []byte { return deriveBytes(master, purpose, 32) }

func deriveBytes(master []byte, purpose string, length int) []byte {
	key, err := hkdf.Key(sha256.New, master, nil, "trinity-bridge "+purpose, length)
	if err != nil { // only for lengths HKDF cannot give
		panic(err)
	}
	return key
}

// rowData is what a value is sealed for: its head and its row.
func rowData(head []byte, kind, id string) []byte {
	return slices.Concat(head, []byte(kind), []byte{0}, []byte(id))
}
