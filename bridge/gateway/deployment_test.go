package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/federation/trinity"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// deployment is the gateway on the real store, with the real credentials, before a simulated Trinity.
type deployment struct {
	*world
	trinity *trinitytest.Server
	store   *badger.Store
	probe   *gateway.Probe
}

func deploy(t *testing.T, switches trinitytest.Switches, more ...trinitytest.Person) *deployment {
	t.Helper()
	d := &deployment{}
	var err error
	if d.trinity, err = trinitytest.Start(trinitytest.Options{Switches: switches, People: append(trinitytest.DefaultPeople(), more...)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.trinity.Close() })
	if d.store, err = badger.Open(badger.Options{Dir: t.TempDir(), Sealer: secrettest.Ring()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.store.Close() })
	backend, err := url.Parse(d.trinity.BackendURL())
	if err != nil {
		t.Fatal(err)
	}
	d.world = start(t, func(o *gateway.Options) {
		if o.Upstream, err = url.Parse(d.trinity.MCPURL()); err != nil {
			t.Fatal(err)
		}
		o.Grants = d.store
		o.Credentials = trinity.NewCredentials(trinity.CredentialsOptions{
			API: trinity.NewAPI(backend), Ring: o.Ring, Revocations: d.store, Trail: o.Trail, Log: o.Log, Now: o.Now,
		})
		d.probe = &gateway.Probe{Upstream: o.Upstream, Transport: outbound.Transport(), Trail: o.Trail, Log: o.Log}
		o.Ready = d.probe.Ready
	})
	d.probe.Check(t.Context())
	return d
}

// allow makes a person's live grant with a key of its own.
func (d *deployment) allow(t *testing.T, username string) connection {
	t.Helper()
	return d.allowAs(t, "grant-"+username, username, bridge.RoleUser)
}

func (d *deployment) allowAs(t *testing.T, id, username string, role bridge.Role) connection {
	t.Helper()
	now := d.clock.Now()
	key, err := d.trinity.MintKey(username, "bridge:client:"+id, "user", "")
	if err != nil {
		t.Fatal(err)
	}
	sealed := connection{key: key}
	for _, info := range d.trinity.Keys() {
		if info.Name == "bridge:client:"+id {
			sealed.grant.Credential = bridge.Credential{KeyID: info.ID, KeyName: info.Name, Sealed: d.ring.Seal("grant key", id, []byte(key))}
		}
	}
	live := keepGrant(t, d.store, bridge.Grant{
		ID: id, Person: bridge.Person{Source: bridge.SourceTrinity, Subject: username}, Account: bridge.Account{Username: username, Role: role},
		ActingAs: bridge.ActingAs{Kind: bridge.ActAsUser}, ClientID: "client-1", Resource: resource, Scopes: bridge.AllScopes(),
		Credential: sealed.grant.Credential, CreatedAt: now,
	})
	return connection{grant: live, key: key, token: d.mint(live, live.Scopes, time.Hour)}
}

// keepGrant stores a live grant the way consent and token endpoint do.
func keepGrant(t testing.TB, store *badger.Store, grant bridge.Grant) bridge.Grant {
	t.Helper()
	now := grant.CreatedAt
	grant.Status, grant.Lapses = bridge.GrantPending, now.Add(time.Minute)
	flow := bridge.Flow{ID: "flow-" + grant.ID, Step: bridge.StepConsent, CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
	code := bridge.Code{
		Hash: bridge.HashOf(grant.ID), GrantID: grant.ID, ClientID: grant.ClientID, RedirectURI: "r", CodeChallenge: "c",
		Resource: grant.Resource, ExpiresAt: now.Add(time.Minute),
	}
	if err := store.CreateFlow(t.Context(), flow); err != nil {
		t.Fatal(err)
	}
	issue := bridge.Issue{FlowID: flow.ID, Grant: grant, Code: code, Consent: bridge.Consent{PersonID: grant.Person.ID(), ClientID: grant.ClientID, RedirectURI: "r"}}
	if outcome, err := store.IssueCode(t.Context(), issue, now); err != nil || outcome != bridge.CodeIssued {
		t.Fatal(outcome, err)
	}
	use := bridge.CodeUse{Code: code.Hash, ClientID: grant.ClientID, RedirectURI: "r", Challenge: "c", AccessTokenLife: time.Hour}
	outcome, live, err := store.RedeemCode(t.Context(), use, now)
	if err != nil || outcome != bridge.CodeRedeemed {
		t.Fatal(outcome, err)
	}
	return live
}

// carrier adds a bearer token to whatever a client sends.
type carrier struct{ token string }

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+c.token)
	return http.DefaultTransport.RoundTrip(r)
}

func (d *deployment) client(t *testing.T, token string) (*mcp.ClientSession, error) {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	return client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: d.server.URL + "/mcp", HTTPClient: &http.Client{Transport: carrier{token}},
	}, nil)
}

// generations are the upstreams that there are.
func generations() []trinitytest.Generation {
	return []trinitytest.Generation{trinitytest.Proxy6_7_19, trinitytest.Proxy6_5_1, trinitytest.Proxy5_12_5}
}

// eachGeneration tests with each of them.
func eachGeneration(t *testing.T, test func(t *testing.T, d *deployment)) {
	t.Helper()
	for _, generation := range generations() {
		t.Run(string(generation), func(t *testing.T) {
			t.Parallel()
			test(t, deploy(t, trinitytest.Switches{Generation: generation}))
		})
	}
}

// pastedKey is a key that a person made at Trinity.
func (d *deployment) pastedKey(t *testing.T, username string) string {
	t.Helper()
	key, err := d.trinity.MintKey(username, "pasted", "user", "")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// onNewConnection asks once more when the first question went over a connection that the upstream had left.
func onNewConnection(ask func() answer) answer {
	got := ask()
	if got.status == http.StatusBadGateway {
		got = ask()
	}
	return got
}

func (d *deployment) wantNoToken(t *testing.T, token string) {
	t.Helper()
	for _, seen := range d.trinity.Requests() { // I4
		if strings.Contains(fmt.Sprint(seen.Header, seen.Path, seen.Query, string(seen.Body)), token) {
			t.Errorf("the client's token reached Trinity: %s %s", seen.Method, seen.Path)
		}
	}
	if strings.Contains(d.logs.String(), token) {
		t.Error("the client's token is in the log")
	}
}

func (d *deployment) mcpRequests() []trinitytest.Request {
	return slices.DeleteFunc(d.trinity.Requests(), func(r trinitytest.Request) bool { return r.Side != trinitytest.SideMCP })
}

// sessions is how many sessions were opened at Trinity.
func (d *deployment) sessions() (opened int) {
	for _, seen := range d.mcpRequests() {
		if strings.Contains(string(seen.Body), `"initialize"`) && !strings.Contains(string(seen.Body), "probe") {
			opened++
		}
	}
	return opened
}
