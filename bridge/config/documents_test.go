package config_test

import (
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest/strangers"
)

const pinnedDocument = `{"client_id":"https://app.example.com/c","client_name":"App","redirect_uris":["https://app.example.com/cb"]}`

func TestLoad_documentMistakes(t *testing.T) {
	t.Parallel()
	folder := func(t *testing.T, files map[string]string) string {
		path := t.TempDir()
		for name, text := range files {
			write(t, filepath.Join(path, name), text)
		}
		return path
	}
	notPEM := file(t, "no certificate")
	tests := []struct {
		id   string
		edit func(*testing.T, *config.Flags)
		want string
	}{
		{"policy", func(_ *testing.T, f *config.Flags) { f.DocumentPolicy = "closed" }, "--document-policy"},
		{"host with a path", func(_ *testing.T, f *config.Flags) { f.DocumentHosts = "claude.ai,claude.ai/x" }, "--document-hosts"},
		{"host in capitals", func(_ *testing.T, f *config.Flags) { f.DocumentBlockedHosts = "Evil.example" }, "--document-blocked-hosts"},
		{"id that cannot be one", func(_ *testing.T, f *config.Flags) { f.DocumentHosts = "https://claude.ai/../c" }, "--document-hosts"},
		{"port", func(_ *testing.T, f *config.Flags) { f.DocumentPorts = "443,https" }, "--document-ports"},
		{"port 0", func(_ *testing.T, f *config.Flags) { f.DocumentPorts = "0" }, "--document-ports"},
		{"network", func(_ *testing.T, f *config.Flags) { f.DocumentNetworks = "10.0.0.0/40" }, "--document-networks"},
		{"CM-04/every network", func(_ *testing.T, f *config.Flags) { f.DocumentNetworks = "0.0.0.0/0" }, "is everybody"},
		{"no such file", func(_ *testing.T, f *config.Flags) { f.DocumentCA = "/nowhere/ca.pem" }, "--document-ca"},
		{"no certificate", func(_ *testing.T, f *config.Flags) { f.DocumentCA = notPEM }, "no certificate"},
		{"no such folder", func(_ *testing.T, f *config.Flags) { f.PinnedDocuments = "/nowhere" }, "--pinned-documents"},
		{"empty folder", func(t *testing.T, f *config.Flags) { f.PinnedDocuments = t.TempDir() }, "no *.json file"},
		{"pinned, no JSON", func(t *testing.T, f *config.Flags) { f.PinnedDocuments = folder(t, map[string]string{"a.json": "{"}) }, "a.json"},
		{"pinned, no id", func(t *testing.T, f *config.Flags) { f.PinnedDocuments = folder(t, map[string]string{"a.json": "{}"}) }, "a.json"},
		{"pinned, CM-01/bad id", func(t *testing.T, f *config.Flags) {
			f.PinnedDocuments = folder(t, map[string]string{"a.json": strings.Replace(pinnedDocument, "https:", "http:", 1)})
		}, "a.json"},
		{"pinned, CM-17/secret", func(t *testing.T, f *config.Flags) {
			f.PinnedDocuments = folder(t, map[string]string{"a.json": strings.Replace(pinnedDocument, "{", `{"client_secret":"x",`, 1)})
		}, "secret"},
		{"pinned twice", func(t *testing.T, f *config.Flags) {
			f.PinnedDocuments = folder(t, map[string]string{"a.json": pinnedDocument, "b.json": pinnedDocument})
		}, "another file"},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			flags := good()
			tt.edit(t, &flags)
			_, err := config.Load(flags, noEnvironment)
			var mistakes config.Mistakes
			if !errors.As(err, &mistakes) || len(mistakes) != 1 || !strings.Contains(mistakes[0], tt.want) {
				t.Errorf("mistakes = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestLoad_documents(t *testing.T) {
	t.Parallel()
	plain, err := config.Load(good(), noEnvironment)
	if err != nil || plain.Documents.Trust.Policy != clients.PolicyOpen || plain.Documents.Roots != nil || len(plain.Documents.Networks)+len(plain.Documents.Ports)+len(plain.Documents.Pinned) > 0 {
		t.Errorf("nothing set: %+v, %v", plain, err)
	}
	folder := t.TempDir()
	write(t, filepath.Join(folder, "app.json"), pinnedDocument)
	write(t, filepath.Join(folder, "notes.txt"), "not a document")
	ca := file(t, strangers.NewAuthority(t).PEM())
	flags := good()
	flags.Config = file(t, "document_policy: ask\ndocument_hosts: [claude.ai, '*.example.com', https://app.example.com/c]\ndocument_blocked_hosts: [evil.example.com]\n"+
		"document_ports: [443, 8443]\ndocument_networks: [10.20.1.1/16, '::1']\ndocument_ca: "+ca+"\npinned_documents: "+folder+"\n")
	got, err := config.Load(flags, noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	d := got.Documents
	if len(d.Pinned) != 1 || d.Pinned[0].ID != "https://app.example.com/c" || d.Pinned[0].Kind != bridge.ClientDocument || d.Roots == nil {
		t.Errorf("%+v", d)
	}
	d.Pinned, d.Roots = nil, nil
	want := config.Documents{
		Trust: clients.Trust{
			Policy: clients.PolicyAsk, Hosts: []string{"claude.ai", "*.example.com", "https://app.example.com/c"}, Blocked: []string{"evil.example.com"},
		},
		Ports: []uint16{443, 8443}, Networks: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("::1/128")},
	}
	if diff := cmp.Diff(want, d, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// AS-129: a configured client proves itself with a secret or with a key, not with both.
func TestLoad_clientKeys(t *testing.T) {
	t.Parallel()
	const (
		client = "clients: [{id: a, name: A, redirect_uris: ['https://a.example.com/cb'], "
		key    = "jwks: {keys: [{kty: OKP, crv: Ed25519, kid: b, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]}"
	)
	for id, tt := range map[string]struct{ members, want string }{
		"keys":            {key, ""},
		"where keys are":  {"jwks_uri: https://keys.example.com/k", ""},
		"both":            {key + ", jwks_uri: https://keys.example.com/k", "exclude each other"},
		"keys and secret": {key + ", secret_sha256: [" + strings.Repeat("00", 32) + "]", "keep one"},
		"a private key":   {strings.Replace(key, "kty:", "d: x, kty:", 1), "private"},
		"no set":          {"jwks: [1]", "cannot be read"},
		"http":            {"jwks_uri: http://keys.example.com/k", "https"},
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			flags := good()
			flags.Config = file(t, client+tt.members+"}]")
			got, err := config.Load(flags, noEnvironment)
			if tt.want == "" && (err != nil || got.Clients[0].AuthMethod != bridge.AuthKey) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}
