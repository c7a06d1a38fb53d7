package config

import (
	"reflect"
	"strings"
)

// Flags are the settings as text, one field each. The name tag is the setting's name as a flag;
// the other two spellings follow from it.
type Flags struct {
	Config               string `name:"config" placeholder:"FILE" help:"YAML file with any of these settings, and with configured clients."`
	PublicURL            string `name:"public-url" placeholder:"URL" help:"The public origin people and clients reach the bridge at, such as https://connect.example.com. Permanent."`
	TrinityURL           string `name:"trinity-url" placeholder:"URL" help:"Trinity's backend, such as http://backend:8000."`
	MCPURL               string `name:"mcp-url" placeholder:"URL" help:"Trinity's MCP endpoint, such as http://mcp-server:8080/mcp."`
	Data                 string `name:"data" placeholder:"FOLDER" help:"Where state is kept (default ./data)."`
	Store                string `name:"store" placeholder:"URL" help:"PostgreSQL database that several replicas share, such as postgres://bridge:password@db.example.com/bridge?sslmode=verify-full. Better given by file or environment than as a flag (default: the data folder, for one process)."`
	Watermark            string `name:"watermark" placeholder:"FILE" help:"File that says how far the store has come, so that a lost write or a copy put back is noticed. On another disk or volume than the data folder it also tells when that is put back as a whole (default store.watermark in the data folder)."`
	Secret               string `name:"secret" placeholder:"TEXT" help:"Master secret, at least 32 bytes (openssl rand -base64 32). Made and kept in the data folder when not given. Better given by file or environment than as a flag."`
	SecretCommand        string `name:"secret-command" placeholder:"COMMAND" help:"Program that prints the master secret, such as the client of a key management service, and its arguments with spaces between; no shell. Run once at start, for 30 seconds at most."`
	SecretPrevious       string `name:"secret-previous" placeholder:"TEXT" help:"The master secret from before, while it is exchanged: what it sealed can be read still, see docs/keys.md. Better given by file or environment than as a flag."`
	Listen               string `name:"listen" placeholder:"ADDRESS" help:"Public address to listen on (default :8420; 127.0.0.1:8420 for demo)."`
	OperatorListen       string `name:"operator-listen" placeholder:"ADDRESS" help:"Address for health, metrics and the operator's commands (default 127.0.0.1:8421)."`
	TLSCert              string `name:"tls-cert" placeholder:"FILE" help:"Certificate chain, when the bridge ends TLS itself."`
	TLSKey               string `name:"tls-key" placeholder:"FILE" help:"Private key of the certificate."`
	AccessLifetime       string `name:"access-token-lifetime" placeholder:"DURATION" help:"Life of an access token, 1m to 24h (default 1h)."`
	SigningAlgorithm     string `name:"signing-algorithm" placeholder:"NAME" help:"What access tokens are signed with: ES256, EdDSA or RS256 (default ES256)."`
	KeyRotation          string `name:"key-rotation" placeholder:"DURATION|off" help:"How often the signing key is replaced, 24h to 17520h, or off (default 2160h)."`
	RefreshIdle          string `name:"refresh-idle" placeholder:"DURATION" help:"A connection unused for so long ends (default 720h)."`
	RefreshMax           string `name:"refresh-max" placeholder:"DURATION" help:"A connection ends after so long at the latest (default 4320h)."`
	OutageGrace          string `name:"outage-grace" placeholder:"DURATION" help:"For how long nobody is kept out because Trinity or an identity provider does not answer, 1m to 24h (default 1h)."`
	Registration         string `name:"registration" placeholder:"on|off" help:"Dynamic client registration (default on)."`
	RegistrationToken    string `name:"registration-token" placeholder:"TOKEN" help:"What a client has to show to register (RFC 7591 §3), at least 32 characters (openssl rand -hex 32). Nothing when not given. Better given by file or environment than as a flag."`
	DPoP                 string `name:"dpop" placeholder:"off|on|required" help:"Access tokens bound to a key of the client (RFC 9449): never, for clients that show a proof, or for all (default off)."`
	DPoPNonces           string `name:"dpop-nonces" placeholder:"on|off" help:"Ask each proof for a nonce of the bridge's, so that none can be made ahead (default off)."`
	DocumentPolicy       string `name:"document-policy" placeholder:"open|ask|allow-list|off" help:"Whose client ID metadata documents are taken: everybody's, those on the list with a page that names the host to allow, those on the list, or nobody's (default open)."`
	DocumentHosts        string `name:"document-hosts" placeholder:"HOSTS" help:"The list: host names, *.names and whole client ids whose documents are taken, comma separated."`
	DocumentBlockedHosts string `name:"document-blocked-hosts" placeholder:"HOSTS" help:"The same for documents that are never taken, whatever the policy."`
	PinnedDocuments      string `name:"pinned-documents" placeholder:"FOLDER" help:"Folder of *.json documents that are taken in the place of fetched ones, for closed networks (default none)."`
	DocumentPorts        string `name:"document-ports" placeholder:"PORTS" help:"Ports that may be asked for documents, comma separated (default 443)."`
	DocumentNetworks     string `name:"document-networks" placeholder:"NETWORKS" help:"Networks that are not public and may be asked for documents all the same, comma separated (default none)."`
	DocumentCA           string `name:"document-ca" placeholder:"FILE" help:"Certificates of authorities that documents' hosts are trusted by, besides the system's."`
	EmailCode            string `name:"email-code" placeholder:"on|off" help:"Let people sign in with Trinity's e-mail code (default on). Off needs identity sources in the configuration file."`
	StaticKeys           string `name:"static-keys" placeholder:"on|off" help:"Let trinity_mcp_ keys through on the same URL (default on)."`
	AuditCalls           string `name:"audit-calls" placeholder:"on|off" help:"Also tell of each call that is let through, in the log (default off)."`
	ToolsOverlay         string `name:"tools-overlay" placeholder:"FILE" help:"YAML file of judgements about tools that are laid over the program's own: titles, hints, scopes, what is hidden."`
	ToolsBeyondScope     string `name:"tools-beyond-scope" placeholder:"on|off" help:"Also list the tools that a connection would have to ask a wider scope for (default off)."`
	AllowedOrigins       string `name:"allowed-origins" placeholder:"ORIGINS" help:"Web origins, comma separated, whose pages may call /mcp from a browser."`
	AllowedHosts         string `name:"allowed-hosts" placeholder:"HOSTS" help:"Host headers to accept besides the public URL's, comma separated."`
	TrustedProxies       string `name:"trusted-proxies" placeholder:"NETWORKS" help:"Addresses or networks, comma separated, whose X-Forwarded-For is believed."`
	OperatorName         string `name:"operator-name" placeholder:"TEXT" help:"Who runs this deployment, for the privacy page."`
	OperatorContact      string `name:"operator-contact" placeholder:"TEXT" help:"How to reach them: an e-mail address or https URL."`
	LogLevel             string `name:"log-level" placeholder:"LEVEL" help:"debug, info, warn or error (default info)."`
}

const environmentPrefix = "TRINITY_BRIDGE_"

// setting is one field of Flags under its other two spellings.
type setting struct {
	key, environment string
	value            *string
}

// settings lists the fields of f.
func (f *Flags) settings() []setting {
	value := reflect.ValueOf(f).Elem()
	var list []setting
	for i := range value.NumField() {
		text, ok := value.Field(i).Addr().Interface().(*string)
		if !ok {
			continue
		}
		key := strings.ReplaceAll(value.Type().Field(i).Tag.Get("name"), "-", "_")
		list = append(list, setting{key: key, environment: environmentPrefix + strings.ToUpper(key), value: text})
	}
	return list
}
