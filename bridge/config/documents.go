package config

import (
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
)

// Documents are the settings about clients that a document describes.
type Documents struct {
	Trust    clients.Trust
	Pinned   []bridge.Client // read from a folder instead of being fetched
	Ports    []uint16        // asked for documents; empty for 443
	Networks []netip.Prefix  // asked although they are not public
	Roots    *x509.CertPool  // nil for the system's
}

func checkDocuments(f Flags, m *Mistakes) Documents {
	d := Documents{
		Trust: clients.Trust{
			Policy: clients.Policy(or(f.DocumentPolicy, string(clients.PolicyOpen))),
			Hosts:  list(f.DocumentHosts), Blocked: list(f.DocumentBlockedHosts),
		},
		Networks: networks("--document-networks", f.DocumentNetworks, m),
	}
	if !slices.Contains(clients.Policies(), d.Trust.Policy) {
		m.add("--document-policy: %q is none of open, ask, allow-list and off", f.DocumentPolicy)
	}
	for _, hosts := range []struct {
		flag    string
		entries []string
	}{{"--document-hosts", d.Trust.Hosts}, {"--document-blocked-hosts", d.Trust.Blocked}} {
		for _, entry := range hosts.entries {
			if err := clients.CheckTrustEntry(entry); err != nil {
				m.add("%s: %v", hosts.flag, err)
			}
		}
	}
	for _, text := range list(f.DocumentPorts) {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			m.add("--document-ports: %q is no port", text)
		}
		d.Ports = append(d.Ports, uint16(port))
	}
	d.Roots = authorities(f.DocumentCA, m)
	d.Pinned = pinned(f.PinnedDocuments, m)
	return d
}

// authorities are the system's certificate authorities and those of a file.
func authorities(file string, m *Mistakes) *x509.CertPool {
	if file == "" {
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		m.add("--document-ca: %v", err)
		return nil
	}
	if !pool.AppendCertsFromPEM(text) {
		m.add("--document-ca: there is no certificate in %s", file)
	}
	return pool
}

// pinned reads the documents of a folder. Each says itself whose it is, and keeps the same rules
// as one that is fetched.
func pinned(folder string, m *Mistakes) []bridge.Client {
	if folder == "" {
		return nil
	}
	if _, err := os.ReadDir(folder); err != nil {
		m.add("--pinned-documents: %v", err)
		return nil
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		m.add("--pinned-documents: there is no *.json file in %s", folder)
	}
	var all []bridge.Client
	for _, file := range files {
		client, err := readPinned(file)
		if err != nil {
			m.add("--pinned-documents: %s: %v", file, err)
			continue
		}
		if slices.ContainsFunc(all, func(c bridge.Client) bool { return c.ID == client.ID }) {
			m.add("--pinned-documents: %s: another file has the client_id %s", file, client.ID)
		}
		all = append(all, client)
	}
	return all
}

func readPinned(file string) (bridge.Client, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the folder
	if err != nil {
		return bridge.Client{}, err
	}
	var named struct {
		ClientID string `json:"client_id"`
	}
	if err := json.Unmarshal(text, &named); err != nil {
		return bridge.Client{}, err
	}
	if err := clients.CheckDocumentID(named.ClientID); err != nil {
		return bridge.Client{}, err
	}
	return clients.ReadDocument(named.ClientID, text)
}
