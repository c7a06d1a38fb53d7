package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// actsForItself reports whether a client is declared to get tokens without a person.
func actsForItself(d ClientDeclaration) bool {
	return slices.Contains(d.GrantTypes, bridge.GrantTypeClient)
}

// onlyMachine reports whether it gets them in no other way, so that no browser ever comes back to it.
func onlyMachine(d ClientDeclaration) bool {
	return actsForItself(d) && !slices.Contains(d.GrantTypes, bridge.GrantTypeCode)
}

// machineKeys reads the Trinity keys of the clients that act for themselves.
func machineKeys(declared []ClientDeclaration, m *Mistakes) map[string]secret.Token {
	keys := map[string]secret.Token{}
	for _, d := range declared {
		switch {
		case !actsForItself(d) && d.TrinityKeyFile != "":
			m.add("clients: %q: trinity_key_file is for clients with the grant type client_credentials", d.ID)
		case !actsForItself(d):
		case d.TrinityKeyFile == "":
			m.add("clients: %q: client_credentials need a trinity_key_file", d.ID)
		default:
			keys[d.ID] = keyIn(d.TrinityKeyFile, fmt.Sprintf("clients: %q", d.ID), m)
		}
	}
	return keys
}

// keyIn reads a Trinity key from a file; whose says for whom, in a mistake.
func keyIn(path, whose string, m *Mistakes) secret.Token {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		m.add("%s: trinity_key_file: %v", whose, err)
		return secret.Token{}
	}
	key, err := secret.ParseTrinityKey(strings.TrimSpace(string(text)))
	if err != nil {
		m.add("%s: %s: %v", whose, path, err)
	}
	return key
}
