package config

import (
	"os"
	"slices"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/federation/trinity"
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
			keys[d.ID] = keyIn(d, m)
		}
	}
	return keys
}

func keyIn(d ClientDeclaration, m *Mistakes) secret.Token {
	text, err := os.ReadFile(d.TrinityKeyFile)
	if err != nil {
		m.add("clients: %q: trinity_key_file: %v", d.ID, err)
		return secret.Token{}
	}
	key, err := trinity.ParseKey(strings.TrimSpace(string(text)))
	if err != nil {
		m.add("clients: %q: %s: %v", d.ID, d.TrinityKeyFile, err)
	}
	return key
}
