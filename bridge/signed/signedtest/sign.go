// Package signedtest signs what tests present, whatever it says.
package signedtest

import "github.com/go-jose/go-jose/v4"

// Sign is the compact serialization of a payload, with members of its header added or replaced.
func Sign(algorithm jose.SignatureAlgorithm, key any, header map[string]any, payload []byte) (string, error) {
	options := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for name, value := range header {
		options.ExtraHeaders[jose.HeaderKey(name)] = value
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		return "", err
	}
	object, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return object.CompactSerialize()
}
