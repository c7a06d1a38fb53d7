package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge/config"
)

const goodSecret = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="

func good() config.Flags {
	return config.Flags{
		PublicURL: "https://connect.example.com", TrinityURL: "http://backend:8000", MCPURL: "http://mcp-server:8080/mcp", Secret: goodSecret,
	}
}

func noEnvironment(string) (string, bool) { return "", false }

func environment(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

func TestLoad_mistakes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id   string
		edit func(*config.Flags)
		want string // part of the one mistake
	}{
		{"OP-34/no public URL", func(f *config.Flags) { f.PublicURL = "" }, "--public-url is missing"},
		{"OP-34/http", func(f *config.Flags) { f.PublicURL = "http://connect.example.com" }, "has to be https"},
		{"OP-34/trailing slash", func(f *config.Flags) { f.PublicURL = "https://connect.example.com/" }, "leave out the slash"},
		{"OP-34/path", func(f *config.Flags) { f.PublicURL = "https://example.com/bridge" }, "without a path"},
		{"OP-34/query", func(f *config.Flags) { f.PublicURL = "https://example.com?x=1" }, "without a path"},
		{"OP-34/upper case", func(f *config.Flags) { f.PublicURL = "https://Connect.example.com" }, "lower case"},
		{"OP-34/default port", func(f *config.Flags) { f.PublicURL = "https://connect.example.com:443" }, "default port"},
		{"OP-34/not a URL", func(f *config.Flags) { f.PublicURL = "connect.example.com" }, "--public-url"},
		{"OP-34/no backend", func(f *config.Flags) { f.TrinityURL = "" }, "--trinity-url is missing"},
		{"OP-34/backend with password", func(f *config.Flags) { f.TrinityURL = "http://a:b@backend" }, "--trinity-url"},
		{"OP-34/no MCP server", func(f *config.Flags) { f.MCPURL = "" }, "--mcp-url is missing"},
		{"OP-34/weak secret", func(f *config.Flags) { f.Secret = strings.Repeat("secret", 10) }, "--secret"},
		{"OP-34/two secrets", func(f *config.Flags) { f.SecretCommand = "/usr/bin/fetch-secret" }, "keep one"},
		{"OP-34/weak previous secret", func(f *config.Flags) { f.SecretPrevious = "let-me-in" }, "--secret-previous"},
		{"OP-34/an exchange for the same", func(f *config.Flags) { f.SecretPrevious = goodSecret }, "the same as --secret"},
		{"OP-34/short secret", func(f *config.Flags) { f.Secret = "abcdefghijklmnop" }, "--secret"},
		{"OP-34/everybody is a proxy", func(f *config.Flags) { f.TrustedProxies = "0.0.0.0/0" }, "--trusted-proxies: \"0.0.0.0/0\" is everybody"},
		{"OP-34/origin with path", func(f *config.Flags) { f.AllowedOrigins = "https://a.example.com/x" }, "--allowed-origins"},
		{"OP-34/life too long", func(f *config.Flags) { f.AccessLifetime = "48h" }, "--access-token-lifetime"},
		{"OP-34/neither on nor off", func(f *config.Flags) { f.Registration = "maybe" }, "--registration"},
		{"OP-34/algorithm", func(f *config.Flags) { f.SigningAlgorithm = "HS256" }, "--signing-algorithm"},
		{"OP-34/algorithm in lower case", func(f *config.Flags) { f.SigningAlgorithm = "es256" }, "--signing-algorithm"},
		{"OP-34/rotated all the time", func(f *config.Flags) { f.KeyRotation = "1h" }, "--key-rotation"},
		{"OP-34/rotated by a word", func(f *config.Flags) { f.KeyRotation = "never" }, "--key-rotation"},
		{"OP-34/half a certificate", func(f *config.Flags) { f.TLSCert = "x.pem" }, "belong together"},
		{"OP-34/a weak registration token", func(f *config.Flags) { f.RegistrationToken = "let-me-in" }, "--registration-token"},
		{"OP-34/a registration token for nothing", func(f *config.Flags) { f.RegistrationToken, f.Registration = goodSecret, "off" }, "--registration-token"},
		{"EX-21/another word for DPoP", func(f *config.Flags) { f.DPoP = "always" }, "--dpop"},
		{"EX-26/nonces without DPoP", func(f *config.Flags) { f.DPoPNonces = "on" }, "--dpop-nonces"},
		{"OP-34/address", func(f *config.Flags) { f.Listen = "8420" }, "--listen"},
		{"OP-34/log level", func(f *config.Flags) { f.LogLevel = "loud" }, "--log-level"},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			flags := good()
			tt.edit(&flags)
			_, err := config.Load(flags, noEnvironment)
			var mistakes config.Mistakes
			if !errors.As(err, &mistakes) || len(mistakes) != 1 || !strings.Contains(mistakes[0], tt.want) {
				t.Errorf("mistakes = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestLoad_OP34_allMistakesAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.Load(config.Flags{PublicURL: "http://x.example.com", Secret: "short", Registration: "x"}, noEnvironment)
	var mistakes config.Mistakes
	if !errors.As(err, &mistakes) || len(mistakes) != 5 {
		t.Errorf("mistakes = %v, want five", err)
	}
	if strings.Contains(err.Error(), "short\n") {
		t.Error("the secret is in the mistakes")
	}
}

func TestLoad_signingKeys(t *testing.T) {
	t.Parallel()
	tests := []struct {
		algorithm, rotation string
		wantAlgorithm       string
		wantRotation        time.Duration
	}{
		{"", "", "ES256", 90 * 24 * time.Hour},
		{"EdDSA", "24h", "EdDSA", 24 * time.Hour},
		{"RS256", "off", "RS256", 0},
	}
	for _, tt := range tests {
		flags := good()
		flags.SigningAlgorithm, flags.KeyRotation = tt.algorithm, tt.rotation
		got, err := config.Load(flags, noEnvironment)
		if err != nil || got.SigningAlgorithm != tt.wantAlgorithm || got.KeyRotation != tt.wantRotation {
			t.Errorf("%q, %q: %+v, %v", tt.algorithm, tt.rotation, got, err)
		}
	}
}

func TestLoad_precedence(t *testing.T) {
	t.Parallel()
	settings := file(t, "public_url: https://file.example.com\ntrinity_url: http://file:8000\nmcp_url: http://file:8080/mcp\n"+
		"access_token_lifetime: 5m\nallowed_origins: [https://a.example.com, https://b.example.com]\nregistration: off\n")
	secretFile := file(t, goodSecret+"\n")
	got, err := config.Load(config.Flags{MCPURL: "http://flag:8080/mcp"}, environment(map[string]string{
		"TRINITY_BRIDGE_CONFIG": settings, "TRINITY_BRIDGE_TRINITY_URL": "http://environment:8000",
		"TRINITY_BRIDGE_MCP_URL": "http://environment:8080/mcp", "TRINITY_BRIDGE_SECRET_FILE": secretFile,
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"https://file.example.com", "http://environment:8000", "http://flag:8080/mcp"}
	if diff := cmp.Diff(want, []string{got.PublicURL.String(), got.TrinityURL.String(), got.MCPURL.String()}); diff != "" {
		t.Errorf("file, environment, flag (-want +got):\n%s", diff)
	}
	if got.AccessLifetime != 5*time.Minute || got.Registration || len(got.AllowedOrigins) != 2 || len(got.Master) != 32 {
		t.Errorf("file values are not taken: %+v", got)
	}
}

func TestLoad_file(t *testing.T) {
	t.Parallel()
	const hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	tests := []struct {
		id, text string
		want     []string
	}{
		{"configured client", "clients: [{id: claude, name: Claude, redirect_uris: [https://claude.ai/api/mcp/auth_callback], secret_sha256: [" + hash + "]}]", nil},
		{"unknown setting", "publicurl: https://x.example.com", []string{`there is no setting "publicurl"`}},
		{"unknown client member", "clients: [{id: a, name: A, redirect_uri: https://a.example.com}]", []string{"clients:"}},
		{"bad redirect", "clients: [{id: a, name: A, redirect_uris: ['http://a.example.com/cb']}]", []string{"invalid_redirect_uri"}},
		{"clear secret", "clients: [{id: a, name: A, redirect_uris: ['https://a.example.com/cb'], secret_sha256: [hunter2]}]", []string{"64 hex digits"}},
		{"same id twice", "clients: [{id: a, name: A, redirect_uris: ['https://a.example.com/cb']}, {id: a, name: A, redirect_uris: ['https://a.example.com/cb']}]", []string{"stands twice"}},
		{"not YAML", "a: [", []string{"yaml"}},
		{"key twice", "data: a\ndata: b", []string{"already defined"}},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			flags := good()
			flags.Config = file(t, tt.text)
			got, err := config.Load(flags, noEnvironment)
			if tt.want == nil {
				if err != nil || len(got.Clients) != 1 || len(got.Clients[0].SecretHashes) != 1 {
					t.Errorf("Load = %+v, %v", got, err)
				}
				return
			}
			for _, part := range tt.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("mistakes = %v, want %q", err, part)
				}
			}
		})
	}
}

// file is a new file of that text.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, text)
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
