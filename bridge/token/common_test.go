package token_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"maps"
	"testing"
)

func parseKey(t *testing.T, der []byte) *ecdsa.PrivateKey {
	t.Helper()
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("key is %T", parsed)
	}
	return key
}

// merge returns base with edits; a nil value removes a member.
func merge(base, edits map[string]any) map[string]any {
	merged := maps.Clone(base)
	for name, value := range edits {
		if value == nil {
			delete(merged, name)
			continue
		}
		merged[name] = value
	}
	return merged
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
