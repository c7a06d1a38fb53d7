// Package secrettest has a keyring for the tests of what is given one. Neighbours: secret.
package secrettest

import "github.com/abilityai/trinity-bridge/bridge/secret"

// Master is the secret of Ring.
const Master = "a master secret for tests, 0123456789"

// Ring is the same in every process, so that one can open what another sealed.
func Ring() *secret.Keyring {
	ring, err := secret.NewKeyring([]byte(Master))
	if err != nil {
		panic(err) // the secret is long enough
	}
	return ring
}
