package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
)

const xaesNonce = 24

// xaes is XAES-256-GCM (C2SP): AES-256-GCM under a key made from the first half of a nonce of 192 bits. Rows were sealed
// with it before siv, and are still opened; a stream takes the key of its frames from it.
type xaes struct {
	block  cipher.Block
	subkey [aes.BlockSize]byte // K1 of CMAC
}

func newXAES(raw []byte) (*xaes, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("preparing a cipher: %w", err)
	}
	x := &xaes{block: block}
	block.Encrypt(x.subkey[:], x.subkey[:])
	carry := x.subkey[0]>>7 == 1
	for i := range x.subkey[:aes.BlockSize-1] {
		x.subkey[i] = x.subkey[i]<<1 | x.subkey[i+1]>>7
	}
	last := &x.subkey[aes.BlockSize-1]
	*last <<= 1
	if carry {
		*last ^= 0x87
	}
	return x, nil
}

// aead makes the cipher that a nonce belongs to; it takes the nonce's second half.
func (x *xaes) aead(nonce []byte) cipher.AEAD {
	var derived [2 * aes.BlockSize]byte
	for i := range 2 {
		half := derived[i*aes.BlockSize:][:aes.BlockSize]
		copy(half, []byte{0, byte(i + 1), 'X', 0})
		copy(half[4:], nonce[:xaesNonce/2])
		subtle.XORBytes(half, half, x.subkey[:])
		x.block.Encrypt(half, half)
	}
	return newGCM(derived[:], cipher.NewGCM)
}

// open reads a nonce and what was sealed with it, or returns ErrOpen.
func (x *xaes) open(place, sealed []byte) ([]byte, error) {
	if len(sealed) < xaesNonce {
		return nil, ErrOpen
	}
	return openGCM(x.aead(sealed), sealed[xaesNonce/2:xaesNonce], sealed[xaesNonce:], place)
}

// newGCM makes AES-256-GCM, which sealed values before siv, in one of its forms.
func newGCM(key []byte, form func(cipher.Block) (cipher.AEAD, error)) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil { // only for keys of another length
		panic(err)
	}
	gcm, err := form(block)
	if err != nil { // only for ciphers with another block size
		panic(err)
	}
	return gcm
}

func openGCM(gcm cipher.AEAD, nonce, sealed, data []byte) ([]byte, error) {
	plain, err := gcm.Open(nil, nonce, sealed, data)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}
