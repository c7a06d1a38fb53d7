package templates

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// field is an input as a browser would send it.
type field struct{ name, value string }

// fieldsOf are the inputs and buttons between a form and the next one, in tab order.
func fieldsOf(elements []element, action string) []field {
	var fields []field
	inside := false
	for _, e := range elements {
		switch e.name {
		case "form":
			inside = e.attrs["action"] == action
		case "input", "button":
			if inside && e.attrs["name"] != "" {
				fields = append(fields, field{e.attrs["name"], e.attrs["value"]})
			}
		}
	}
	return fields
}

// The hooks of design §6, and that every form carries its flow and ticket (CO-01).
func TestPages_forms(t *testing.T) {
	t.Parallel()
	flow := []field{{"flow", "flow-1"}, {"ticket", "ticket-1"}}
	tests := []struct {
		page, action string
		want         []field
	}{
		{"sign in", "/signin", append(slices.Clone(flow), field{"email", ""})},
		{"sign in again", "/signin", append(slices.Clone(flow), field{"email", "alice@"})},
		{"code", "/signin/code", append(slices.Clone(flow), field{"code", ""})},
		{"code", "/signin", append(slices.Clone(flow), field{"email", "alice@example.com"})},
		{"second factor", "/signin/second-factor", append(slices.Clone(flow), field{"code", ""})},
		{"enrol", "/signin/second-factor/new", append(slices.Clone(flow), field{"code", ""})},
		{"recovery", "/signin/second-factor/kept", flow},
		{"connections", "/connections/end", []field{
			{"ticket", "ticket-1"}, {"grant", "grant-1"}, {"ticket", "ticket-1"}, {"grant", "grant-2"}, {"ticket", "ticket-1"}, {"grant", "grant-3"},
		}},
		{"connections", "/connections/end-all", []field{{"ticket", "ticket-1"}}},
		{"connections", "/connections/unlink", []field{{"ticket", "ticket-1"}}},
		{"connections", "/connections/sign-out", []field{{"ticket", "ticket-1"}}},
		{"consent, acting", "/consent", append(
			slices.Clone(flow), field{"acting_as", "user"}, field{"acting_as", "agent:researcher"}, field{"acting_as", "system"},
			field{"scope", "trinity:read"}, field{"scope", "trinity:write"}, field{"scope", "trinity:admin"},
			field{"decision", "deny"}, field{"decision", "approve"},
		)},
		{"consent", "/consent", append(
			slices.Clone(flow),
			field{"scope", "trinity:read"}, field{"scope", "trinity:write"}, field{"scope", "trinity:admin"},
			field{"decision", "deny"}, field{"decision", "approve"},
		)},
	}
	for _, tt := range tests {
		t.Run(tt.page+tt.action, func(t *testing.T) {
			t.Parallel()
			got := fieldsOf(readPage(t, write(t, samples()[tt.page])), tt.action)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(field{})); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPages_inputs(t *testing.T) {
	t.Parallel()
	email := named(readPage(t, write(t, samples()["sign in"])), "input", "email")[0].attrs
	if email["type"] != "email" || email["autocomplete"] != "email" {
		t.Errorf("e-mail field %v", email)
	}
	elements := readPage(t, write(t, samples()["code"]))
	code := named(elements, "input", "code")[0].attrs
	if code["inputmode"] != "numeric" || code["autocomplete"] != "one-time-code" || code["pattern"] == "" {
		t.Errorf("code field %v", code)
	}
	if !slices.ContainsFunc(elements, func(e element) bool { return e.attrs["href"] == "/signin?flow=flow-1" }) {
		t.Error("no way to another address")
	}
	factor := named(readPage(t, write(t, samples()["second factor"])), "input", "code")[0].attrs
	if factor["autocomplete"] != "one-time-code" || factor["inputmode"] != "" {
		t.Errorf("second factor field %v: recovery codes have letters", factor)
	}
}

func TestConsent_scopes(t *testing.T) {
	t.Parallel()
	page := consentPage(webClient)
	page.Scopes[2].New = true
	got := map[string]string{}
	for _, e := range named(readPage(t, write(t, page)), "input", "scope") {
		_, ticked := e.attrs["checked"]
		got[e.attrs["value"]] = e.attrs["type"] + map[bool]string{true: " ticked"}[ticked]
	}
	want := map[string]string{"trinity:read": "hidden", "trinity:write": "checkbox ticked", "trinity:admin": "checkbox"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scopes (-want +got):\n%s", diff)
	}
	wantWords(
		t, write(t, page), "See your Trinity", "Always included.", "Work with your agents",
		"Delete things, change settings and secrets new", "Much of it cannot be undone.",
	)
	page.Scopes[2].Warning = false
	if strings.Contains(write(t, page), "cannot be undone") {
		t.Error("a warning where none is due")
	}
}

// CO-22, AS-133, AS-110: the seven facts, and which of them may be missing.
func TestConsent_CO22_facts(t *testing.T) {
	t.Parallel()
	wantWords(
		t, write(t, consentPage(webClient)),
		"Let claude.ai use Trinity as you?", "It calls itself “Claude”.", // who asks
		"You return to claude.ai",                                                            // redirect host
		"You are signed in as alice", "E-mail address: alice@example.com.", "Role: creator.", // account
		"What it may do See your Trinity Look at your agents", // scopes in words
		"Connects to https://bridge.example.com/mcp",          // resource
		"How long Until it has been unused for 30 days, and 180 days at most.",
		"To end it Any time at https://bridge.example.com/connections. Or disconnect in the app, or delete the key “bridge Claude 7f3a91” under MCP keys in Trinity’s settings.",
	)
	bare := write(t, samples()["consent, bare"])
	wantWords(t, bare, "Let an app use Trinity as you?", "It gives no name.", "For about an hour")
	for _, absent := range []string{"E-mail address", "Role:", "You allowed this app"} {
		if strings.Contains(bare, absent) {
			t.Errorf("the page says %q of nothing", absent)
		}
	}
	same := consentPage(webClient)
	same.Account = same.Email
	if strings.Contains(write(t, same), "E-mail address") {
		t.Error("the page says the address twice")
	}
	again := consentPage(webClient)
	again.AllowedOn, again.IdleDays = "2026-11-02", 1
	wantWords(t, write(t, again), "You allowed this app on 2026-11-02.", "unused for 1 day,")
}

// CO-13, AS-111: an app on the person's own computer is never called by the name it gives.
func TestConsent_CO13_loopback(t *testing.T) {
	t.Parallel()
	for _, verified := range []bool{false, true} {
		client := Client{Name: "Claude", RedirectHost: "127.0.0.1:51234", Loopback: true, Verified: verified}
		page := write(t, consentPage(client))
		wantWords(
			t, page, "Let this app use Trinity as you?", "An app on this computer", "You return to 127.0.0.1:51234",
			"Any app on this computer could pretend to be this one.",
		)
	}
	if strings.Contains(write(t, consentPage(webClient)), "pretend") {
		t.Error("a warning where none is due")
	}
}

// CO-20, AS-125: what an app says of itself is marked so, and the host is what is large.
func TestClient_CO20_badge(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]any{
		"sign in": samples()["sign in"], "consent": samples()["consent"], "return": samples()["return"],
	} {
		elements := readPage(t, write(t, page))
		i := slices.IndexFunc(elements, func(e element) bool { return e.attrs["class"] == "host" })
		if i < 0 || strings.TrimSpace(elements[i+1].text) != "claude.ai" || elements[i+1].attrs["dir"] != "ltr" {
			t.Errorf("%s: the host does not stand alone", name)
		}
		wantWords(t, write(t, page), "It calls itself “Claude”. not verified: it named itself")
	}
	wantWords(
		t, write(t, consentPage(verifiedClient)),
		"Let Claude use Trinity as you?", "The operator of this server knows it as “Claude”. verified",
	)
}

var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'><svg onload=alert(1)>`, `{{.Ticket}}`, `{name}`,
	`</title><script>`, `--><b>`, `javascript:alert(1)`, "a\u202eb", "&lt;b&gt;", "` + alert(1) + `", "</bdi>” verified",
}

// CO-14, CO-19: hostile text in every field of every page comes out as text or not at all.
func TestWrite_CO14_markup(t *testing.T) {
	t.Parallel()
	set := newSet(t, site())
	for name, page := range samples() {
		for _, text := range hostile {
			poisoned := reflect.New(reflect.TypeOf(page)).Elem()
			poisoned.Set(reflect.ValueOf(page))
			poison(poisoned, text)
			t.Run(name+"/"+text, func(t *testing.T) {
				t.Parallel()
				body, err := set.render(nameOf(t, page), poisoned.Interface())
				if err != nil {
					t.Fatal(err)
				}
				wantNothingActive(t, readPage(t, string(body)))
			})
		}
	}
}

// nameOf is the template name of a good page: poisoned ones are rendered past the check of their
// links, so that html/template's own filter is seen to hold too.
func nameOf(t *testing.T, page any) string {
	t.Helper()
	kind, err := kindOf(page)
	if err != nil {
		t.Fatal(err)
	}
	return kind.name
}

// choosing are the fields that choose one of our own sentences.
var choosing = []string{"Notice", "Key", "Reason", "Done", "Scope", "Kind", "Acting"}

// poison puts text into every string field but those that choose one of our own sentences.
func poison(value reflect.Value, text string) {
	for i := range value.NumField() {
		field := value.Field(i)
		switch {
		case field.Kind() == reflect.Struct:
			poison(field, text)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			own := reflect.MakeSlice(field.Type(), field.Len(), field.Len()) // the sample's is everybody's
			reflect.Copy(own, field)
			field.Set(own)
			for n := range own.Len() {
				poison(own.Index(n), text)
			}
		case field.Kind() == reflect.String && !slices.Contains(choosing, value.Type().Field(i).Name):
			field.SetString(text)
		}
	}
}

func TestClient_CO14_nameIsText(t *testing.T) {
	t.Parallel()
	client := webClient
	client.Name = `<script>alert(1)</script>”, verified “`
	wantWords(t, write(t, consentPage(client)), `It calls itself “<script>alert(1)</script>", verified "”. not verified`)
}

// CO-16: a host that only looks like another one is shown as what it is.
func TestClient_CO16_homoglyph(t *testing.T) {
	t.Parallel()
	client := Client{Name: "Claude", RedirectHost: "сlaude.ai"} // the first letter is Cyrillic
	page := write(t, consentPage(client))
	wantWords(t, page, "Let %D1%81laude.ai use Trinity as you?")
	if strings.Contains(page, "сlaude") {
		t.Error("the page shows the Cyrillic letter")
	}
}

// CO-18: the client's own site is linked where it is https on the host the person reads, else not shown.
func TestClient_CO18_website(t *testing.T) {
	t.Parallel()
	tests := []struct{ website, want string }{
		{"https://claude.ai/about", "https://claude.ai/about"},
		{"https://evil.example/about", ""},
		{"https://claude.ai@evil.example/", ""},
		{"https://user@claude.ai/", ""},
		{"http://claude.ai/", ""},
		{"javascript:alert(1)", ""},
		{"data:text/html,x", ""},
		{"//claude.ai/", ""},
		{"", ""},
	}
	for _, tt := range tests {
		t.Run(tt.website, func(t *testing.T) {
			t.Parallel()
			client := webClient
			client.Website = tt.website
			var got string
			for _, a := range named(readPage(t, write(t, consentPage(client))), "a", "") {
				if strings.Contains(a.attrs["rel"], "noreferrer") {
					got = a.attrs["href"]
				}
			}
			if got != tt.want {
				t.Errorf("linked to %q, want %q", got, tt.want)
			}
		})
	}
}

// Every name a client could be shown by goes through CleanName, whoever made the struct (CO-15).
func TestClient_CO15_cleanedHere(t *testing.T) {
	t.Parallel()
	client := Client{Name: "Cl\u202eau\u200bde\n" + strings.Repeat("x", 5000), RedirectHost: "claude.ai", Verified: true}
	for name, page := range map[string]any{
		"consent": consentPage(client), "code": CodePage{Client: client}, "onward": OnwardPage{URL: "https://claude.ai/cb?code=1", Client: client},
	} {
		body := write(t, page)
		if strings.ContainsAny(body, "\u202e\u200b") || strings.Contains(body, strings.Repeat("x", 80)) {
			t.Errorf("%s shows the name as it came", name)
		}
	}
}

func TestPrivacy_points(t *testing.T) {
	t.Parallel()
	page := write(t, PrivacyPage{IdleDays: 30, MaxDays: 180, AuditDays: 90})
	wantWords(
		t, page,
		"bridge.example.com is run by Example Ltd. Contact: trinity@example.com", "under its law", // 1
		"What it stores", "It does not store your conversations", // 2
		"What passes through",            // 3
		"Who receives data", "Anthropic", // 4
		"Trinity keys are encrypted under a secret", "unused for 30 days, or 180 days have passed", "The trail of events 90 days", // 5
		"How you see and take back what you allowed", "within a minute", // 6
		"Copies and deletion", "for 90 days at most", // 7
		"__Host-trinity-flow-… Ties a sign-in to the browser it was begun in. ten minutes", "no analytics", // 8
		"Version 3 of", "If you find a weakness", "If your data was exposed", // 9
		"always stands at this address: https://bridge.example.com/privacy", // 10
	)
}

// AS-137: each connection is told as it was when it was allowed, and each button says to those who cannot see which
// connection it ends.
func TestConnections_AS137_rows(t *testing.T) {
	t.Parallel()
	page := write(t, samples()["connections"])
	wantWords(
		t, page, "The connection has ended. Your connections", "You are signed in as alice. E-mail address: alice@example.com. You signed in with Example SSO.",
		"claude.ai It calls itself “Claude”. not verified: it named itself", "Connects to https://bridge.example.com/mcp",
		"See your Trinity Work with your agents", "Whom it acts as Yourself", "Connected on 2026-11-02 Last used 2026-11-02 10:05 UTC",
		"It introduces itself at vscode.dev.", "Only those that look.", "The agent researcher", "Last used not yet",
		"An app without an address It gives no name.", "Ended, it stays ended", "Our own tools", "The platform itself",
		"Your sign-in at Example SSO stands for the Trinity account alice.",
	)
	ids := map[string]bool{}
	elements := readPage(t, page)
	for _, e := range elements {
		if id := e.attrs["id"]; id != "" && ids[id] {
			t.Errorf("the id %s stands twice", id)
		}
		ids[e.attrs["id"]] = true
	}
	named := 0
	for _, e := range elements {
		if labels := strings.Fields(e.attrs["aria-labelledby"]); e.name == "button" && len(labels) == 2 {
			named++
			if labels[0] != e.attrs["id"] || !ids[labels[1]] {
				t.Errorf("a button is called by %q", labels)
			}
		}
	}
	if named != 3 {
		t.Errorf("%d of three buttons say which connection they end", named)
	}
	wantWords(
		t, write(t, samples()["connections, none"]), "No apps are connected", "You are signed in as a person without a Trinity account.",
		"That signs you out at Example SSO, too",
	)
	if none := write(t, samples()["connections, none"]); strings.Contains(none, "End all") || strings.Contains(none, "/connections/unlink") {
		t.Error("there is something to end where nothing is")
	}
}

// A name that ends in a dot ends its sentence as well.
func TestSite_operatorWithDot(t *testing.T) {
	t.Parallel()
	for operator, want := range map[string]string{"Example Inc.": "Example Inc.", "Example Ltd": "Example Ltd.", ".": "."} {
		described := site()
		described.Operator = operator
		recorder := httptest.NewRecorder()
		newSet(t, described).Write(recorder, http.StatusOK, PrivacyPage{})
		page := words(readPage(t, recorder.Body.String()))
		if strings.Contains(page, "..") || operator != "." && (!strings.Contains(page, "Run by "+want+" Your") || !strings.Contains(page, "is run by "+want+" Contact")) {
			t.Errorf("of %q the page says %q", operator, page)
		}
	}
}

// Home and help tell of no way to sign in that is not offered.
func TestHome_signIn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		ways       Ways
		home, help string
		code       bool
	}{
		{Ways{Code: true}, "You sign in with a code by e-mail and decide", "Type your e-mail address, then the six digits", true},
		{Ways{Only: "Example SSO"}, "You sign in with Example SSO and decide", "You are taken to Example SSO", false},
		{Ways{Code: true, Choice: true}, "You sign in and decide", "Choose how you sign in", true},
		{Ways{Choice: true}, "You sign in and decide", "Choose how you sign in", false},
	}
	for _, tt := range tests {
		home, help := write(t, HomePage{Connector: issuer + "/mcp", Ways: tt.ways}), write(t, HelpPage{Connector: issuer + "/mcp", Ways: tt.ways})
		wantWords(t, home, tt.home)
		wantWords(t, help, tt.help)
		if got := strings.Contains(words(readPage(t, home)), "e-mail"); got != (tt.ways == Ways{Code: true}) {
			t.Errorf("%+v: home tells of e-mail: %v", tt.ways, got)
		}
		if got := strings.Contains(words(readPage(t, help)), "No e-mail comes"); got != tt.code {
			t.Errorf("%+v: help tells of e-mail that does not come: %v", tt.ways, got)
		}
	}
}

// What goes wrong on the way to the page of connections sends nobody to an app alone: there may be none.
func TestProblem_visit(t *testing.T) {
	t.Parallel()
	all, err := loadMessages(messageFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"flow-gone", "other-browser", "forged", "not-a-form", "trinity-down", "trinity-setup", "email-off", "email-disabled", "second-factor-missing",
		"account-mismatch", "visit-over", "visit-failed", "no-connection", "method", "store-down", "internal", "too-many",
	} {
		text := all["problem."+key+".text"]
		if text == "" || strings.Contains(text, "app") && !strings.Contains(text, "your connections") || strings.Contains(text, "Connect again") {
			t.Errorf("%s: %q", key, text)
		}
	}
	for _, key := range families["source."].keys {
		if text := all["source."+key+".text"]; text == "" || strings.Contains(text, " app") {
			t.Errorf("%s: %q", key, text)
		}
	}
}

func TestHelp_steps(t *testing.T) {
	t.Parallel()
	wantWords(
		t, write(t, HelpPage{Connector: issuer + "/mcp"}), "Add your Trinity instance to Claude",
		"claude mcp add --transport http trinity https://bridge.example.com/mcp", "Customize, then Connectors",
		"Disconnect", "If something goes wrong",
	)
}

// AS-110, CO-07, CO-18: who describes the app, that it has changed, and a website on that host.
func TestConsent_AS110_described(t *testing.T) {
	t.Parallel()
	page := write(t, samples()["consent, changed"])
	wantWords(
		t, page, "It calls itself “VS Code”. It introduces itself at vscode.dev.", "127.0.0.1:33418", "not verified",
		"Since you allowed this app on 2026-11-02 it has changed what it says of itself",
	)
	if !strings.Contains(page, `href="https://vscode.dev/product"`) {
		t.Error("its website is not linked")
	}
	other := describedClient
	other.Website = "https://evil.example/"
	if page := write(t, consentPage(other)); strings.Contains(page, "evil.example") {
		t.Error("a website elsewhere is linked")
	}
	for _, page := range []string{write(t, samples()["consent"]), write(t, samples()["consent, local again"])} {
		if strings.Contains(page, "introduces itself") || strings.Contains(page, "has changed") {
			t.Error("said of an app that nobody describes")
		}
	}
	homoglyph := describedClient
	homoglyph.DocumentHost = "сlaude.ai" // CO-16
	wantWords(t, write(t, consentPage(homoglyph)), "It introduces itself at %D1%81laude.ai.")
}

func TestProblem_host(t *testing.T) {
	t.Parallel()
	wantWords(t, write(t, samples()["problem, host"]), "Ask them to let in apps from this address", "app.example.com")
	if strings.Contains(write(t, samples()["problem"]), `class="host"`) {
		t.Error("a host where there is none")
	}
}
