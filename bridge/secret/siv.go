package secret

import "github.com/tink-crypto/tink-go/v2/daead/subtle"

// siv seals with AES-SIV (RFC 5297). It needs no nonce, which would take room in each row and wear out: the same text is
// sealed for the same place to the same bytes, and that it is the same is all that they show.
type siv struct{ aes *subtle.AESSIV }

// newSIV makes the key from a secret, for one purpose.
func newSIV(from []byte, purpose string) siv {
	aes, err := subtle.NewAESSIV(deriveBytes(from, purpose, subtle.AESSIVKeySize))
	if err != nil { // only for keys of another length
		panic(err)
	}
	return siv{aes}
}

func (s siv) seal(place, plain []byte) []byte {
	sealed, err := s.aes.EncryptDeterministically(plain, place)
	if err != nil { // only for what no memory holds
		panic(err)
	}
	return sealed
}

func (s siv) open(place, sealed []byte) ([]byte, error) {
	plain, err := s.aes.DecryptDeterministically(sealed, place)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}
