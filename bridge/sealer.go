package bridge

import "io"

// Sealer is what a store is given to keep its rows from whoever reads its disk: secret.Keyring.
// A store makes its row key once, when it is new, keeps it wrapped beside the rows, and unwraps it
// at every start. So a new master secret means few values written anew (SealedValue), and a copy of
// the store without the master secret shows random bytes.
type Sealer interface {
	// NewRowKey makes the key of a new store. base is what many texts in its rows begin with, and for as long as there is the
	// key; it is wrapped with it, so that whoever can open a row has both.
	NewRowKey(base string) (key RowKey, wrapped []byte, err error)
	// OpenRowKey unwraps the key of a store. It fails when the master secret is another one.
	OpenRowKey(wrapped []byte) (RowKey, error)
	// Current reports whether a value is sealed under the current master secret, by what it says itself.
	Current(sealed []byte) bool
	// Reseal seals a value anew, for the same kind and row, that any live secret opens.
	Reseal(kind, row string, sealed []byte) ([]byte, error)
	// SealStream seals what is written to it until it is closed, for one purpose, under the current secret.
	SealStream(to io.Writer, purpose string) (io.WriteCloser, error)
	// OpenStream opens what SealStream made for the same purpose, under any live secret. It is whole when
	// reading has come to io.EOF.
	OpenStream(from io.Reader, purpose string) (io.Reader, error)
}

// RowKey seals the rows of one store.
type RowKey interface {
	// Seal encrypts a row for its place, the table and the key it is stored under. Nothing else opens
	// it, so that rows cannot be swapped.
	Seal(place string, row []byte) []byte
	// Open decrypts what Seal made for the same place.
	Open(place string, sealed []byte) ([]byte, error)
	// OpenOld decrypts what programs of before sealed for the same place in another way.
	OpenOld(place string, sealed []byte) ([]byte, error)
	// MAC is the keyed hash of a value for one purpose: an index finds by it what it must not show
	// (HashOf of an e-mail address is found by trying addresses).
	MAC(purpose, value string) Hash
	// Base is what NewRowKey was given; "" for keys that were made before it was given anything.
	Base() string
}
