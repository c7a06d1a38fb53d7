package trinitytest

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Server is a running simulated Trinity: a backend and an MCP server, each on its own address.
type Server struct {
	switches *switchboard
	state    *state
	seen     *recorder
	mcp      *orchestrator
	client   *http.Client // the MCP server's, to the backend
	log      *slog.Logger

	backendAddr, mcpAddr string // in use; fixed from the start

	doors       sync.Mutex // held while a side is started or stopped
	backendDoor *door
	mcpDoor     *door
	mcpKilled   bool // by KillMCP, whatever the switches say
	closed      bool
}

// backendPatience is how long the MCP server waits for the backend before it gives a key up.
const backendPatience = 30 * time.Second

// Start makes the simulated Trinity and listens. It returns an error when an address is taken, the state
// file is unusable or a person is not described well.
func Start(o Options) (*Server, error) {
	o = o.withDefaults()
	state, err := newState(o)
	if err != nil {
		return nil, err
	}
	catalogue, err := readCatalogue()
	if err != nil {
		return nil, err
	}
	s := &Server{
		switches: &switchboard{switches: o.Switches},
		state:    state,
		seen:     &recorder{now: o.Now},
		client: &http.Client{
			Timeout:   backendPatience,
			Transport: &http.Transport{MaxIdleConnsPerHost: 64}, // no proxy: the backend is on this machine
		},
		log: o.Logger,
	}
	s.backendDoor = s.door(SideBackend, o.BackendAddr, newBackend(state, s.switches, o))
	if err := s.backendDoor.open(); err != nil {
		return nil, err
	}
	s.backendAddr = s.backendDoor.address()
	s.mcp = &orchestrator{
		switches: s.switches, backendURL: s.BackendURL(), client: s.client, administrator: state.administrator,
		now: o.Now, rand: o.Rand, keepAlive: o.KeepAlive, progressStep: o.ProgressStep, log: o.Logger,
		catalogue: catalogue, exposed: []string{"reporter"},
	}
	s.mcp.start()
	s.mcpDoor = s.door(SideMCP, o.MCPAddr, s.mcp)
	if err := s.mcpDoor.open(); err != nil {
		s.backendDoor.shut()
		return nil, err
	}
	s.mcpAddr = s.mcpDoor.address()
	s.Set(func(*Switches) {})
	return s, nil
}

// door puts what every request passes in front of a side: the record, then the side's condition.
func (s *Server) door(side Side, addr string, handler http.Handler) *door {
	return &door{name: string(side), addr: addr, log: s.log, handler: s.seen.watch(side, afflict(side, s.switches, handler))}
}

// Close stops both sides and waits until nothing of them runs any more. Later calls do nothing.
func (s *Server) Close() error {
	s.doors.Lock()
	defer s.doors.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.mcpDoor.shut()
	if !s.mcpKilled {
		s.mcp.stop()
	}
	s.backendDoor.shut()
	s.client.CloseIdleConnections()
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.save() // the usage counts since the last change
}

// BackendURL is the REST API's origin, the same for the Server's whole life.
func (s *Server) BackendURL() string { return "http://" + s.backendAddr }

// MCPURL is the MCP endpoint, the same for the Server's whole life.
func (s *Server) MCPURL() string { return "http://" + s.mcpAddr + "/mcp" }

// Set changes switches while requests run. When it returns, a side that went Down refuses connections and
// one that came back accepts them, on the same address.
func (s *Server) Set(change func(*Switches)) {
	s.doors.Lock()
	defer s.doors.Unlock()
	now := s.switches.change(change)
	if s.closed {
		return
	}
	s.place(s.backendDoor, now.Backend != Down)
	s.place(s.mcpDoor, now.MCP != Down && !s.mcpKilled)
}

func (s *Server) place(d *door, open bool) {
	if !open {
		d.shut()
		return
	}
	if err := d.open(); err != nil {
		s.log.Error("simulated Trinity cannot come back", "error", err)
	}
}

// KillMCP ends the MCP server as a crash would: connections are cut, idle ones included, and refused, and
// sessions are lost.
func (s *Server) KillMCP() {
	s.doors.Lock()
	defer s.doors.Unlock()
	if s.closed || s.mcpKilled {
		return
	}
	s.mcpKilled = true
	s.mcpDoor.shut()
	s.mcp.stop()
}

// RestartMCP starts the MCP server again on the same address, with no sessions. One that still runs is
// killed first.
func (s *Server) RestartMCP() error {
	s.KillMCP()
	s.doors.Lock()
	defer s.doors.Unlock()
	if s.closed {
		return fmt.Errorf("restarting Trinity's MCP server: %w", http.ErrServerClosed)
	}
	s.mcpKilled = false
	s.mcp.start()
	if s.switches.read().MCP == Down {
		return nil
	}
	return s.mcpDoor.open()
}

// ExposeAgent gives an agent a tool of its own, chat_with_<slug>, and tells every session that the tool
// list has changed. The agent "reporter" has one from the start.
func (s *Server) ExposeAgent(slug string) { s.mcp.expose(slug, true) }

// HideAgent takes an agent's own tool away and tells every session.
func (s *Server) HideAgent(slug string) { s.mcp.expose(slug, false) }

// Requests returns the newest 10,000 requests that arrived at either side, oldest first.
func (s *Server) Requests() []Request { return s.seen.all() }

// ResetRequests forgets the requests so far.
func (s *Server) ResetRequests() { s.seen.reset() }

// LastCode is the newest sign-in code sent to an address, or "".
func (s *Server) LastCode(email string) string { return s.state.lastCode(email) }

// LiveJWTs counts the session tokens that are neither expired nor logged out.
func (s *Server) LiveJWTs() int { return s.state.liveJWTs() }

// KeyInfo is a key without its secret.
type KeyInfo struct {
	ID         string
	Name       string
	Owner      string // username
	Scope      string
	AgentName  string
	Active     bool
	UsageCount int // validations
}

// Keys lists every key there is, oldest first, revoked ones included.
func (s *Server) Keys() []KeyInfo {
	var keys []KeyInfo
	for _, k := range s.state.listKeys(func(apiKey) bool { return true }) {
		keys = append(keys, KeyInfo{
			ID: k.ID, Name: k.Name, Owner: k.Owner, Scope: k.Scope,
			AgentName: k.AgentName, Active: k.Active, UsageCount: k.UsageCount,
		})
	}
	return keys
}

// MintKey makes a key as an operator of the database could: for any user, of any scope, bound to an agent
// where agentName is not empty. It returns the key in the clear.
func (s *Server) MintKey(owner, name, scope, agentName string) (string, error) {
	_, key, err := s.state.mintKey(owner, newKey{name: name, scope: scope, agentName: agentName})
	return key, err
}

// RevokeKeys deletes every key of an account, as its owner does in Trinity's settings.
func (s *Server) RevokeKeys(owner string) error {
	for _, k := range s.state.listKeys(func(k apiKey) bool { return k.Owner == owner && k.Active }) {
		if err := s.state.deleteKey(owner, k.ID); err != nil {
			return err
		}
	}
	return nil
}

// Suspend suspends an account or lets it back. It takes effect at the next request.
func (s *Server) Suspend(username string, on bool) error {
	return s.state.changeUser(username, func(u *user) { u.Suspended = on })
}

// SetRole changes an account's role to user, operator, creator or admin.
func (s *Server) SetRole(username, role string) error {
	if !slices.Contains(roles, role) {
		return fmt.Errorf("unknown Trinity role %q", role)
	}
	return s.state.changeUser(username, func(u *user) { u.Role = role })
}

// AddToWhitelist lets an address sign in; the first sign-in makes an account with role user.
func (s *Server) AddToWhitelist(email string) error { return s.state.setWhitelisted(email, roleUser) }

// RemoveFromWhitelist keeps an address from signing in. Its account, keys and sign-ins live on.
func (s *Server) RemoveFromWhitelist(email string) error { return s.state.setWhitelisted(email, "") }
