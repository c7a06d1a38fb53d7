package templates

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"
)

const issuer = "https://bridge.example.com"

var (
	webClient       = Client{Name: "Claude", RedirectHost: "claude.ai", Website: "https://claude.ai/about"}
	localClient     = Client{Name: "Claude Code", RedirectHost: "localhost:3118", Loopback: true}
	verifiedClient  = Client{Name: "Claude", Verified: true, RedirectHost: "claude.ai"}
	describedClient = Client{Name: "VS Code", RedirectHost: "127.0.0.1:33418", DocumentHost: "vscode.dev", Loopback: true, Website: "https://vscode.dev/product"}
)

func consentPage(c Client) ConsentPage {
	return ConsentPage{
		Flow: "flow-1", Ticket: "ticket-1", Client: c, Account: "alice", Email: "alice@example.com", Role: "creator",
		Resource: issuer + "/mcp", KeyName: "bridge Claude 7f3a91", IdleDays: 30, MaxDays: 180,
		Scopes: []ScopeChoice{
			{Scope: "trinity:read", Fixed: true},
			{Scope: "trinity:write", Ticked: true},
			{Scope: "trinity:admin", Warning: true},
		},
	}
}

func enrolPage(notice string) EnrolPage {
	return EnrolPage{
		Flow: "flow-1", Ticket: "ticket-1", Client: webClient, Secret: "JBSW Y3DP EHPK 3PXP",
		URI: "otpauth://totp/Trinity:alice@example.com?secret=JBSWY3DPEHPK3PXP&issuer=Trinity", Notice: notice,
	}
}

// connectionsPage has a connection of each kind.
func connectionsPage() ConnectionsPage {
	since := time.Date(2026, 11, 2, 9, 5, 0, 0, time.UTC)
	return ConnectionsPage{
		Ticket: "ticket-1", Account: "alice", Email: "alice@example.com", Source: "Example SSO", Linked: true, Done: "ended",
		Later: "/connections", Earlier: "/connections?after=grant-2", Minutes: 15,
		Apps: []Connection{
			{
				ID: "grant-1", Client: webClient, Resource: issuer + "/mcp", Scopes: []string{"trinity:read", "trinity:write"}, Acting: "user",
				Account: "alice", Since: since, Used: since.Add(time.Hour),
			},
			{
				ID: "grant-2", Client: describedClient, Resource: issuer + "/mcp/read", Profile: "read", Scopes: []string{"trinity:read"},
				Acting: "agent", Agent: "researcher", Account: "alice", Since: since,
			},
			{
				ID: "grant-3", Client: Client{}, Managed: true, Resource: issuer + "/mcp/own", Profile: "own", ProfileTitle: "Our own tools",
				Scopes: []string{"trinity:read"}, Acting: "system", Account: "alice", Since: since,
			},
		},
	}
}

// samples are every page there is, and the variants that differ in markup.
func samples() map[string]any {
	again := consentPage(localClient)
	again.AllowedOn, again.Notice, again.Scopes[2].New = "2026-11-02", "consent.no_scope", true
	bare := consentPage(Client{})
	bare.Email, bare.Role, bare.IdleDays, bare.MaxDays, bare.Scopes = "", "", 0, 0, bare.Scopes[:1]
	changed := consentPage(describedClient)
	changed.AllowedOn, changed.Changed = "2026-11-02", true
	linked := consentPage(webClient)
	linked.Source = "Example SSO"
	acting := consentPage(webClient)
	acting.ActAs = []ActingChoice{
		{Value: "user", Kind: "user", Ticked: true},
		{Value: "agent:researcher", Kind: "agent", Agent: "researcher"},
		{Value: "system", Kind: "system", Warning: true},
	}
	return map[string]any{
		"door": DoorPage{}, "door, over": DoorPage{Over: true},
		"connections":               connectionsPage(),
		"connections, none":         ConnectionsPage{Ticket: "ticket-1", Source: "Example SSO", There: true, Done: "unlinked", Minutes: 15},
		"signed out":                SignedOutPage{},
		"signed out, at the source": SignedOutPage{Source: "Example SSO", URL: "https://sso.example.com/logout?state=s"},
		"signed out, both":          SignedOutPage{Source: "Example SSO", Both: true},
		"signed out, source down":   SignedOutPage{Source: "Example SSO", Failed: true},
		"sign in, visit":            SignInPage{Flow: "flow-1", Ticket: "ticket-1", Client: Client{Visit: true}},
		"choose, visit":             ChoosePage{Flow: "flow-1", Client: Client{Visit: true}, EmailURL: "/signin?flow=flow-1"},
		"consent, acting":           acting,
		"consent, linked":           linked,
		"consent, changed":          changed,
		"problem, host":             ProblemPage{Status: 400, Key: "client-ask", Host: "app.example.com", Reference: "7f3a91"},
		"choose": ChoosePage{
			Flow: "flow-1", Client: webClient, EmailURL: "/signin?flow=flow-1",
			Sources: []SourceChoice{{Label: "Example SSO", URL: "/signin/leave?flow=flow-1&source=example"}, {Label: "Partners", URL: "/signin/leave?flow=flow-1&source=partners"}},
		},
		"choose, no code":      ChoosePage{Flow: "flow-1", Client: localClient, Sources: []SourceChoice{{Label: "Example SSO", URL: "/signin/leave?flow=flow-1&source=example"}}},
		"bound":                BoundPage{Source: "Example SSO", URL: "/signin/leave?flow=flow-1&source=example", Back: "/signin?flow=flow-1"},
		"link":                 LinkPage{Flow: "flow-1", Ticket: "ticket-1", Client: webClient, Source: "Example SSO", Mailbox: "alice@example.com", ChooseURL: "/signin/choose?flow=flow-1"},
		"link, key":            LinkPage{Flow: "flow-1", Ticket: "ticket-1", Client: webClient, Source: "Example SSO", ByKey: true, ChooseURL: "/signin/choose?flow=flow-1", Notice: "link.key_bad"},
		"link, both":           LinkPage{Flow: "flow-1", Ticket: "ticket-1", Client: localClient, Source: "Example SSO", Mailbox: "alice@example.com", ByKey: true, ChooseURL: "/signin/choose?flow=flow-1"},
		"code, linking":        CodePage{Flow: "flow-1", Ticket: "ticket-1", Client: webClient, Mailbox: "alice@example.com", Linking: true},
		"source problem":       SourceProblemPage{Key: "not-linked", Source: "Example SSO", Reference: "7f3a91", Subject: "00u1abcd", RetryURL: "/signin/choose?flow=flow-1", ReturnURL: "https://claude.ai/cb?error=access_denied&state=s"},
		"sign in, choice":      SignInPage{Flow: "flow-1", Ticket: "ticket-1", Client: webClient, ChooseURL: "/signin/choose?flow=flow-1"},
		"sign in":              SignInPage{Flow: "flow-1", Ticket: "ticket-1", Client: webClient},
		"sign in again":        SignInPage{Flow: "flow-1", Ticket: "ticket-1", Client: localClient, Email: "alice@", Notice: "email.invalid"},
		"code":                 CodePage{Flow: "flow-1", Ticket: "ticket-1", Client: webClient, Mailbox: "alice@example.com"},
		"code again":           CodePage{Flow: "flow-1", Ticket: "ticket-1", Client: verifiedClient, Mailbox: "alice@example.com", Notice: "code.wrong"},
		"second factor":        SecondFactorPage{Flow: "flow-1", Ticket: "ticket-1", Client: webClient},
		"second factor again":  SecondFactorPage{Flow: "flow-1", Ticket: "ticket-1", Client: localClient, Notice: "factor.wrong"},
		"enrol":                enrolPage(""),
		"enrol again":          enrolPage("enrol.wrong"),
		"recovery":             RecoveryPage{Flow: "flow-1", Ticket: "ticket-1", Client: webClient, Codes: []string{"abcd-efgh", "ijkl-mnop", "qrst-uvwx"}},
		"consent":              consentPage(webClient),
		"consent, local again": again,
		"consent, verified":    consentPage(verifiedClient),
		"consent, bare":        bare,
		"onward":               OnwardPage{URL: "https://claude.ai/api/mcp/auth_callback?code=c&state=s", Client: webClient},
		"onward, denied":       OnwardPage{URL: "http://127.0.0.1:3118/callback?error=access_denied&state=s", Client: localClient},
		"return":               ReturnPage{URL: "https://claude.ai/api/mcp/auth_callback?error=invalid_scope", Client: webClient, Reason: "invalid_scope"},
		"problem":              ProblemPage{Status: 400, Key: "bad-redirect"},
		"problem, retry":       ProblemPage{Status: 503, Key: "trinity-down", Reference: "7f3a91", RetryURL: "/signin?flow=flow-1"},
		"home":                 HomePage{Connector: issuer + "/mcp", Ways: Ways{Code: true}},
		"home, source":         HomePage{Connector: issuer + "/mcp", Ways: Ways{Only: "Example SSO"}},
		"home, choice":         HomePage{Connector: issuer + "/mcp", Ways: Ways{Code: true, Choice: true}},
		"help":                 HelpPage{Connector: issuer + "/mcp", Ways: Ways{Code: true}},
		"help, source":         HelpPage{Connector: issuer + "/mcp", Ways: Ways{Only: "Example SSO"}},
		"help, choice":         HelpPage{Connector: issuer + "/mcp", Ways: Ways{Code: true, Choice: true}},
		"privacy, sources":     PrivacyPage{IdleDays: 30, MaxDays: 180, AuditDays: 90, Sources: true},
		"privacy":              PrivacyPage{IdleDays: 30, MaxDays: 180, AuditDays: 90},
	}
}

func site() Site {
	return Site{Issuer: issuer, Operator: "Example Ltd", Contact: "trinity@example.com"}
}

func newSet(t *testing.T, site Site) *Set {
	t.Helper()
	set, err := New(site)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// write renders a page that must be good, and returns it.
func write(t *testing.T, page any) string {
	t.Helper()
	w := httptest.NewRecorder()
	newSet(t, site()).Write(w, 200, page)
	if w.Code != 200 {
		t.Fatalf("status %d for %#v", w.Code, page)
	}
	return w.Body.String()
}

// writeBroken renders a page that must be refused, and returns the answer and the log.
func writeBroken(t *testing.T, page any) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	s := site()
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	w := httptest.NewRecorder()
	newSet(t, s).Write(w, 200, page)
	if w.Code != 500 {
		t.Fatalf("status %d for %#v", w.Code, page)
	}
	return w, log.String()
}
