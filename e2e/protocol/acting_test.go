package protocol_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

const (
	admin = "admin@example.com"
	bob   = "bob@example.com"
)

// lender is a bridge whose operator lets alice act as the agent researcher and as the platform.
type lender struct {
	*bridgetest.Bridge
	folder string
}

const lends = `
principals:
  - {act_as: agent, agent: researcher, trinity_key_file: FOLDER/researcher, who: [{source: trinity, addresses: [alice@example.com]}]}
  - {act_as: system, trinity_key_file: FOLDER/system, who: [{source: trinity, subjects: [alice@example.com]}]}
`

func startLender(t *testing.T) *lender {
	t.Helper()
	l := &lender{Bridge: bridgetest.Start(t), folder: t.TempDir()}
	l.hand(t, "researcher", "agent", "researcher")
	l.hand(t, "system", "system", "")
	l.lend(t, lends)
	return l
}

// hand puts a new key of the administrator's into a file.
func (l *lender) hand(t *testing.T, file, scope, agent string) string {
	t.Helper()
	key, err := l.Trinity.MintKey(admin, "operator's "+file, scope, agent)
	if err != nil {
		t.Fatal(err)
	}
	l.Secret(key)
	writeText(t, filepath.Join(l.folder, file), key+"\n")
	return key
}

// lend starts the bridge again with another configuration file.
func (l *lender) lend(t *testing.T, file string) {
	t.Helper()
	l.Config.Config = filepath.Join(t.TempDir(), "bridge.yaml")
	writeText(t, l.Config.Config, strings.ReplaceAll(file, "FOLDER", l.folder))
	l.Restart(t)
}

// connectAs walks a flow in which a person chooses what to be.
func (l *lender) connectAs(t *testing.T, client bridgetest.Client, email, acting string) bridgetest.Tokens {
	t.Helper()
	w := l.NewBrowser(t)
	l.SignIn(t, w, l.Query(client), email)
	w.Submit(t, "/consent", func(form url.Values) { form["acting_as"], form["decision"] = []string{acting}, []string{"approve"} })
	left, err := url.Parse(w.Left)
	if err != nil || left.Query().Get("code") == "" {
		t.Fatalf("no code: %d %s", w.Page.Status, w.Page.Body)
	}
	l.Secret(left.Query().Get("code"))
	return l.Token(t, l.RedeemForm(client, left.Query().Get("code")))
}

// runsAs checks whose key the calls of a connection arrive with.
func (l *lender) runsAs(t *testing.T, access, username, keyName string) {
	t.Helper()
	answer := l.Tool(t, access, l.Session(t, access), "list_agents")
	for _, part := range []string{`\"username\":\"` + username, `\"key_name\":\"` + keyName} {
		if !answer.Contains(part) {
			t.Errorf("%d %s lacks %s", answer.Status, answer.Body, part)
		}
	}
}

func (l *lender) liveKeys(name string) int {
	n := 0
	for _, key := range l.Trinity.Keys() {
		if key.Active && strings.Contains(key.Name, name) {
			n++
		}
	}
	return n
}

// The person chooses, on the page, among what they may be, and the calls run as exactly that.
func TestActing_chosen(t *testing.T) {
	t.Parallel()
	l := startLender(t)
	client := l.Register(t)
	for acting, want := range map[string][2]string{
		"user":             {alice, "trinity-bridge:"},
		"agent:researcher": {admin, "operator's researcher"},
		"system":           {admin, "operator's system"},
	} {
		tokens := l.connectAs(t, client, alice, acting)
		l.runsAs(t, tokens.Access, want[0], want[1])
		if l.Audited("consent_given", acting) != 1 {
			t.Errorf("the audit does not tell that the consent was for %s", acting)
		}
		l.Token(t, l.RefreshForm(client, tokens.Refresh))
	}
}

// CO-22: the page says what the app will be; themselves is what is ticked.
func TestActing_CO22_page(t *testing.T) {
	t.Parallel()
	l := startLender(t)
	client := l.Register(t)
	w := l.NewBrowser(t)
	l.SignIn(t, w, l.Query(client), alice)
	if got := w.Form(t, "/consent")["acting_as"]; len(got) != 1 || got[0] != "user" {
		t.Errorf("ticked is %q", got)
	}
	for _, part := range []string{`value="agent:researcher"`, `value="system"`, "The agent <bdi>researcher</bdi>", "The platform itself"} {
		if !w.Page.Contains(part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	other := l.NewBrowser(t)
	l.SignIn(t, other, l.Query(client), bob)
	if strings.Contains(other.Page.Body, "acting_as") || strings.Contains(other.Page.Body, "researcher") {
		t.Error("somebody who may choose nothing is shown the choice")
	}
}

// CO-01: what the page did not offer is not had by posting it.
func TestActing_CO01_notOffered(t *testing.T) {
	t.Parallel()
	l := startLender(t)
	client := l.Register(t)
	tests := []struct {
		name, email string
		posted      []string
	}{
		{"another person", bob, []string{"system"}},
		{"another agent", alice, []string{"agent:writer"}},
		{"a scope no calls are made with", alice, []string{"connector"}},
		{"unknown", alice, []string{"ops"}},
		{"empty", alice, []string{""}},
		{"absent", alice, nil},
		{"two at once", alice, []string{"user", "system"}},
		{"another case", alice, []string{"System"}},
		{"agent without a name", alice, []string{"agent"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { //nolint:paralleltest // they share alice's three codes
			w := l.NewBrowser(t)
			l.Clock.Advance(10 * time.Minute) // another three codes
			l.SignIn(t, w, l.Query(client), tt.email)
			before := len(l.Trinity.Keys())
			w.Submit(t, "/consent", func(form url.Values) { form["acting_as"], form["decision"] = tt.posted, []string{"approve"} })
			if w.Page.Status != http.StatusBadRequest || w.Left != "" || !w.Page.Contains("Choose again") {
				t.Errorf("%d %s", w.Page.Status, w.Page.Body)
			}
			if len(l.Trinity.Keys()) != before {
				t.Error("a key was made")
			}
		})
	}
	if l.Audited("consent_given", "") != 0 {
		t.Error("something was allowed")
	}
}

// The operator's key has to be what it is offered as, when the person agrees and ever after.
func TestActing_wrongKey(t *testing.T) {
	t.Parallel()
	for name, key := range map[string][2]string{
		"another agent's": {"agent", "writer"}, "a person's": {"user", ""}, "the platform's": {"system", ""}, "a connector's": {"connector", "researcher"},
		"a delegate's": {"portal_delegate", ""}, "for operations": {"ops", ""}, "nobody's": {"anonymous", ""}, "of a scope nobody knows": {"godmode", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := startLender(t)
			client := l.Register(t)
			before := l.connectAs(t, client, alice, "agent:researcher")
			l.hand(t, "researcher", key[0], key[1])
			l.Restart(t)
			if status := l.Works(t, before.Access); status != http.StatusUnauthorized || l.Audited("grant_ended", "scope_changed") != 1 {
				t.Errorf("the connection of before answers %d", status)
			}
			w := l.NewBrowser(t)
			l.SignIn(t, w, l.Query(client), alice)
			keys := len(l.Trinity.Keys())
			w.Submit(t, "/consent", func(form url.Values) { form.Set("acting_as", "agent:researcher"); form.Set("decision", "approve") })
			if w.Page.Status != http.StatusBadGateway || w.Left != "" || len(l.Trinity.Keys()) != keys {
				t.Errorf("%d, %d keys before and %d after\n%s", w.Page.Status, keys, len(l.Trinity.Keys()), w.Page.Body)
			}
			if answer := l.Decide(t, w, "approve"); answer.Get("code") == "" { // as themselves it still works
				t.Error("no code")
			}
		})
	}
}

// What ends a connection that acts as somebody else; the operator's key is never revoked, the person's own is.
func TestActing_ends(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(t *testing.T, l *lender)
		reason string
	}{
		{"person suspended", func(t *testing.T, l *lender) { t.Helper(); suspend(t, l.Bridge, true) }, "owner_suspended"},
		{"owner suspended", func(t *testing.T, l *lender) {
			t.Helper()
			if err := l.Trinity.Suspend(admin, true); err != nil {
				t.Fatal(err)
			}
		}, "owner_suspended"},
		{"person taken off the list", func(t *testing.T, l *lender) {
			t.Helper()
			l.lend(t, strings.ReplaceAll(lends, alice, bob))
		}, "acting_withdrawn"},
		{"principal taken away", func(t *testing.T, l *lender) { t.Helper(); l.lend(t, "clients: []") }, "acting_withdrawn"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := startLender(t)
			client := l.Register(t)
			tokens := l.connectAs(t, client, alice, "system")
			if status := l.Works(t, tokens.Access); status != http.StatusOK {
				t.Fatalf("before: %d", status)
			}
			tt.change(t, l)
			l.Clock.Advance(2 * time.Minute)
			if status := l.Works(t, tokens.Access); status != http.StatusUnauthorized {
				t.Errorf("after: %d", status)
			}
			if l.Audited("grant_ended", tt.reason) != 1 {
				t.Errorf("the audit does not say %s", tt.reason)
			}
			wire{400, "invalid_grant"}.check(t, l.PostForm(t, "/oauth/token", l.RefreshForm(client, tokens.Refresh)))
			if tt.name != "person suspended" { // whose key Trinity takes for nothing
				wait(t, func() bool { return l.liveKeys("trinity-bridge:") == 0 }, "the person's key is revoked")
			}
			if l.liveKeys("operator's system") != 1 {
				t.Error("the operator's key is gone")
			}
		})
	}
}

// A Trinity that cannot say whose the key is gives nobody the platform.
func TestActing_trinityDown(t *testing.T) {
	t.Parallel()
	l := startLender(t)
	client := l.Register(t)
	w := l.NewBrowser(t)
	l.SignIn(t, w, l.Query(client), alice)
	l.Trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Down })
	w.Submit(t, "/consent", func(form url.Values) { form.Set("acting_as", "system"); form.Set("decision", "approve") })
	if w.Page.Status != http.StatusServiceUnavailable || w.Left != "" {
		t.Errorf("%d %s", w.Page.Status, w.Page.Body)
	}
	l.Trinity.Set(func(s *trinitytest.Switches) { s.Backend = trinitytest.Healthy })
	w.Submit(t, "/consent", func(form url.Values) { form.Set("acting_as", "system"); form.Set("decision", "approve") })
	if !strings.Contains(w.Left, "code=") {
		t.Error("the flow was lost")
	}
}
