package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
)

// A certificate that was renewed is given out a minute later, and one that is written just now does not stop anybody.
func TestCertificate_renewed(t *testing.T) {
	t.Parallel()
	var minutes atomic.Int64
	dir, now := t.TempDir(), func() time.Time { return time.Unix(0, 0).Add(time.Duration(minutes.Load()) * time.Minute) }
	chain, key := filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem")
	if _, err := openCertificate(chain, key, slog.New(slog.DiscardHandler), now); err == nil {
		t.Fatal("files that are not there are taken")
	}
	writeCertificate(t, chain, key, 1)
	c, err := openCertificate(chain, key, slog.New(slog.DiscardHandler), now)
	if err != nil {
		t.Fatal(err)
	}
	b := &Bridge{config: &config.Config{TLSCert: chain, TLSKey: key}, log: slog.New(slog.DiscardHandler), certificate: c}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := b.server(t.Context(), http.NotFoundHandler())
	go func() { _ = b.serve(s, listener) }()
	t.Cleanup(func() { _ = s.Close() })
	want := func(when string, serial int64) {
		t.Helper()
		conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		state := conn.(*tls.Conn).ConnectionState()
		if got := state.PeerCertificates[0].SerialNumber.Int64(); got != serial || state.NegotiatedProtocol != "h2" {
			t.Errorf("%s: certificate %d, protocol %q", when, got, state.NegotiatedProtocol)
		}
	}
	want("at first", 1)
	writeCertificate(t, chain, key, 2)
	want("right after it was renewed", 1)
	minutes.Add(1)
	want("a minute later", 2)
	if err := os.WriteFile(chain, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	minutes.Add(1)
	want("while it is written", 2)
	writeCertificate(t, chain, key, 3)
	want("when it is written", 2)
	minutes.Add(1)
	want("a minute after that", 3)
}

func writeCertificate(t *testing.T, chain, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "bridge.example.com"}, NotAfter: time.Now().Add(time.Hour),
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{chain: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "PRIVATE KEY", Bytes: bare}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
