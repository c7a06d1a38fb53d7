package config

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/dpop"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

// Config is a checked configuration.
type Config struct {
	PublicURL        *url.URL // origin: scheme and host only
	TrinityURL       *url.URL
	MCPURL           *url.URL
	Data             string
	Store            string   // URL of a PostgreSQL database, with its password; empty: the data folder
	Watermark        string   // empty: beside the store in the data folder
	Master           []byte   // nil: MasterCommand prints it, else the data folder's secret file is used, and made if there is none
	MasterCommand    []string // a program and its arguments
	PreviousMaster   []byte   // sealed what has not been sealed anew yet; nil: there is none
	Listen           string
	OperatorListen   string
	TLSCert, TLSKey  string
	AccessLifetime   time.Duration
	SigningAlgorithm string
	KeyRotation      time.Duration // 0 is off
	RefreshIdle      time.Duration
	RefreshMax       time.Duration
	OutageGrace      time.Duration
	Registration     bool
	// RegistrationToken is the hash of what a client has to show to register; zero for nothing.
	RegistrationToken bridge.Hash
	DPoP              dpop.Policy
	DPoPNonces        bool
	StaticKeys        bool
	AuditCalls        bool
	AllowedOrigins    []string
	AllowedHosts      []string
	TrustedProxies    []netip.Prefix
	OperatorName      string
	OperatorContact   string
	LogLevel          slog.Level
	Clients           []bridge.Client
	Machines          map[string]secret.Token // Trinity keys of clients that act for themselves, by client id
	Providers         []clients.Provider
	Sources           []Source
	Principals        Principals // what people may act as besides themselves
	EmailCode         bool       // people may sign in with Trinity's e-mail code
	Documents         Documents
	ResourceServers   []bridge.ResourceServer
	ListBeyondScope   bool
	Tools             *tools.Catalogue // with the operator's judgements and profiles
}

// SecretFile is where the master secret is kept when none is given.
func (c *Config) SecretFile() string { return filepath.Join(c.Data, "secret") }

func check(f Flags, declared declarations, m *Mistakes) *Config {
	c := &Config{
		Data: dataFolder(f), Watermark: f.Watermark, Listen: or(f.Listen, ":8420"), OperatorListen: or(f.OperatorListen, "127.0.0.1:8421"),
		TLSCert: f.TLSCert, TLSKey: f.TLSKey,
		OperatorName: f.OperatorName, OperatorContact: f.OperatorContact,
	}
	c.PublicURL = publicURL(f.PublicURL, m)
	c.TrinityURL = upstreamURL("--trinity-url", f.TrinityURL, m)
	c.MCPURL = upstreamURL("--mcp-url", f.MCPURL, m)
	c.Store = storeURL(f.Store, m)
	if f.Store != "" && f.Watermark != "" {
		m.add("--watermark is for the store in the data folder, and --store names a database")
	}
	c.Master, c.PreviousMaster = master("--secret", f.Secret, m), master("--secret-previous", f.SecretPrevious, m)
	c.MasterCommand = strings.Fields(f.SecretCommand)
	if f.Secret != "" && f.SecretCommand != "" {
		m.add("--secret and --secret-command both say what the secret is: keep one")
	}
	if c.Master != nil && bytes.Equal(c.Master, c.PreviousMaster) {
		m.add("--secret-previous is the same as --secret: leave it out")
	}
	checkAddress("--listen", c.Listen, m)
	checkAddress("--operator-listen", c.OperatorListen, m)
	if (c.TLSCert == "") != (c.TLSKey == "") {
		m.add("--tls-cert and --tls-key belong together")
	}
	c.AccessLifetime = duration("--access-token-lifetime", f.AccessLifetime, time.Hour, time.Minute, 24*time.Hour, m)
	c.SigningAlgorithm = algorithm(f.SigningAlgorithm, m)
	if f.KeyRotation != "off" {
		c.KeyRotation = duration("--key-rotation", f.KeyRotation, 90*24*time.Hour, 24*time.Hour, 730*24*time.Hour, m)
	}
	c.RefreshIdle = duration("--refresh-idle", f.RefreshIdle, 30*24*time.Hour, time.Minute, 400*24*time.Hour, m)
	c.RefreshMax = duration("--refresh-max", f.RefreshMax, 180*24*time.Hour, time.Minute, 800*24*time.Hour, m)
	c.OutageGrace = duration("--outage-grace", f.OutageGrace, time.Hour, time.Minute, 24*time.Hour, m)
	c.Registration = onOff("--registration", f.Registration, m)
	c.RegistrationToken = registrationToken(f.RegistrationToken, c.Registration, m)
	c.DPoP = dpop.Policy(or(f.DPoP, string(dpop.PolicyOff)))
	if !slices.Contains(dpop.Policies(), c.DPoP) {
		m.add("--dpop: %q is none of off, on and required", f.DPoP)
	}
	c.DPoPNonces = onOff("--dpop-nonces", or(f.DPoPNonces, "off"), m)
	if c.DPoPNonces && c.DPoP == dpop.PolicyOff {
		m.add("--dpop-nonces: there are no proofs to ask while --dpop is off")
	}
	c.Documents = checkDocuments(f, m)
	c.StaticKeys = onOff("--static-keys", f.StaticKeys, m)
	c.AuditCalls = onOff("--audit-calls", or(f.AuditCalls, "off"), m)
	c.AllowedOrigins = origins(f.AllowedOrigins, m)
	c.AllowedHosts = list(f.AllowedHosts)
	c.TrustedProxies = networks("--trusted-proxies", f.TrustedProxies, m)
	c.Clients = checkClients(declared.clients, m)
	for _, client := range c.Clients {
		if client.BoundTokens && c.DPoP == dpop.PolicyOff {
			m.add("clients: %q: dpop_bound_access_tokens needs --dpop on", client.ID)
		}
	}
	c.Machines = machineKeys(declared.clients, m)
	c.Providers = checkProviders(declared.providers, m)
	c.ListBeyondScope = f.ToolsBeyondScope != "" && onOff("--tools-beyond-scope", f.ToolsBeyondScope, m)
	c.Tools = checkTools(f.ToolsOverlay, declared.profiles, m)
	c.EmailCode = onOff("--email-code", f.EmailCode, m)
	c.Sources = checkSources(declared.sources, c.EmailCode, m)
	c.Principals = checkPrincipals(declared.principals, c.Sources, m)
	checkProfiles(c.Sources, c.Tools, m)
	c.ResourceServers = checkResourceServers(declared.resources, c.PublicURL, m)
	if err := c.LogLevel.UnmarshalText([]byte(or(f.LogLevel, "info"))); err != nil {
		m.add("--log-level: %q is none of debug, info, warn and error", f.LogLevel)
	}
	return c
}

// publicURL checks the issuer: https, or http on loopback for a try on one's own machine; an
// origin and nothing more, for it is compared byte by byte everywhere (decision 3, AS-004).
func publicURL(text string, m *Mistakes) *url.URL {
	if text == "" {
		m.add("--public-url is missing: the address people reach the bridge at, such as https://connect.example.com")
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Opaque != "":
		m.add("--public-url: %q is not a URL such as https://connect.example.com", text)
	case strings.HasSuffix(text, "/") && u.Path == "/":
		m.add("--public-url: leave out the slash at the end of %q", text)
	case u.Path != "" || u.RawQuery != "" || strings.ContainsAny(text, "?#"):
		m.add("--public-url: %q has to be an origin, without a path", text)
	case u.String() != text || strings.ToLower(text) != text:
		m.add("--public-url: write %q in lower case and without escapes", text)
	case u.Port() == map[string]string{"https": "443", "http": "80"}[u.Scheme] && u.Port() != "":
		m.add("--public-url: leave out the default port of %q", text)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		m.add("--public-url: %q has to be https; http works for 127.0.0.1, [::1] and localhost only", text)
	case u.Scheme != "https" && u.Scheme != "http":
		m.add("--public-url: %q has to be https", text)
	default:
		return u
	}
	return nil
}

// storeURL checks as much as can be said without showing the URL, which may hold a password.
func storeURL(text string, m *Mistakes) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		m.add("--store is not the URL of a PostgreSQL database, such as postgres://bridge:password@db.example.com/bridge")
	}
	return text
}

func upstreamURL(flag, text string, m *Mistakes) *url.URL {
	if text == "" {
		m.add("%s is missing", flag)
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		m.add("%s: %q is not an http or https URL", flag, text)
		return nil
	}
	return u
}

func checkAddress(flag, address string, m *Mistakes) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		m.add("%s: %q is not an address such as 127.0.0.1:8420", flag, address)
	}
}

func duration(flag, text string, fallback, least, most time.Duration, m *Mistakes) time.Duration {
	if text == "" {
		return fallback
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most {
		m.add("%s: %q is not a duration between %s and %s", flag, text, least, most)
	}
	return d
}

func algorithm(text string, m *Mistakes) string {
	all := bridge.SigningAlgorithms()
	if text == "" {
		return all[0]
	}
	if !slices.Contains(all, text) {
		m.add("--signing-algorithm: %q is none of %s", text, strings.Join(all, ", "))
	}
	return text
}

func onOff(flag, text string, m *Mistakes) bool {
	switch text {
	case "", "on", "true":
		return true
	case "off", "false":
		return false
	}
	m.add("%s: %q is neither on nor off", flag, text)
	return false
}

func registrationToken(text string, registration bool, m *Mistakes) bridge.Hash {
	if text == "" {
		return bridge.Hash{}
	}
	if _, err := secret.ParseMaster(text); err != nil { // it can be guessed at over the net, so it has to be as good
		m.add("--registration-token: %v", err)
	}
	if !registration {
		m.add("--registration-token: there is nothing to register while --registration is off")
	}
	return bridge.HashOf(text)
}

func origins(text string, m *Mistakes) []string {
	all := list(text)
	for _, origin := range all {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || (u.Scheme != "https" && u.Scheme != "http") {
			m.add("--allowed-origins: %q is not an origin such as https://inspector.example.com", origin)
		}
	}
	return all
}

func networks(flag, text string, m *Mistakes) []netip.Prefix {
	var all []netip.Prefix
	for _, word := range list(text) {
		if addr, err := netip.ParseAddr(word); err == nil {
			all = append(all, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(word)
		if err != nil {
			m.add("%s: %q is neither an address nor a network", flag, word)
			continue
		}
		if prefix.Bits() == 0 {
			m.add("%s: %q is everybody", flag, word)
			continue
		}
		all = append(all, prefix.Masked())
	}
	return all
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func list(text string) []string {
	var words []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// master is a master secret that was given as text, nil when none was.
func master(name, text string, m *Mistakes) []byte {
	if text == "" {
		return nil
	}
	master, err := secret.ParseMaster(text)
	if err != nil {
		m.add("%s: %v", name, err)
	}
	return master
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
