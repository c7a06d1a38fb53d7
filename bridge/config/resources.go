package config

import (
	"encoding/hex"
	"net/url"
	"slices"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
)

// ResourceServerDeclaration is a server in the configuration file that may introspect tokens.
type ResourceServerDeclaration struct {
	ID           string   `yaml:"id"`
	SecretSHA256 []string `yaml:"secret_sha256"` // hex; two while a secret is exchanged
	Resource     string   `yaml:"resource"`      // the audience it may ask about; the connector URL when left out
}

func checkResourceServers(declared []ResourceServerDeclaration, public *url.URL, m *Mistakes) []bridge.ResourceServer {
	var all []bridge.ResourceServer
	for i, d := range declared {
		server := bridge.ResourceServer{ID: d.ID, Resource: d.Resource, SecretHashes: secretHashes("resource_servers", d.ID, d.SecretSHA256, m)}
		if server.Resource == "" && public != nil {
			server.Resource = public.String() + discovery.PathMCP
		}
		if d.ID == "" || len(d.SecretSHA256) == 0 {
			m.add("resource_servers: entry %d needs id and secret_sha256", i+1)
		}
		if slices.ContainsFunc(all, func(s bridge.ResourceServer) bool { return s.ID == d.ID }) {
			m.add("resource_servers: %q stands twice", d.ID)
		}
		all = append(all, server)
	}
	return all
}

func secretHashes(section, id string, texts []string, m *Mistakes) []bridge.Hash {
	var hashes []bridge.Hash
	for _, text := range texts {
		var hash bridge.Hash
		raw, err := hex.DecodeString(text)
		if err != nil || len(raw) != len(hash) {
			m.add("%s: %q: secret_sha256 is not 64 hex digits", section, id)
			continue
		}
		copy(hash[:], raw)
		hashes = append(hashes, hash)
	}
	return hashes
}
