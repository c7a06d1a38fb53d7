//go:build e2e || clients

package clients

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// certificate gives the files of a certificate for 127.0.0.1, which is its own authority, and of its key. The tests
// trust it from then on; other programs have to be told.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	folder, err := authority()
	if err != nil {
		t.Fatalf("making a certificate: %v", err)
	}
	return filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
}

// authority is made at its first use, before this process has verified any certificate: what the process trusts is read
// once.
var authority = sync.OnceValues(func() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", err
	}
	keyText, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(machine.Folder, "authority")
	write := func(name, kind string, der []byte) error {
		return os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	}
	return folder, errors.Join(
		os.Mkdir(folder, 0o700),
		write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", keyText),
		os.Setenv("SSL_CERT_FILE", filepath.Join(folder, "cert.pem")),
	)
})
