package trinitytest

import (
	"crypto/rand"
	"io"
	"log/slog"
	"sync"
	"time"
)

// Person is somebody who may sign in. Their address is on the whitelist from the start.
type Person struct {
	Username string // the stable handle; empty means the e-mail address, as for people who sign in by code
	Email    string
	Name     string
	Role     string // user, operator, creator or admin; empty means user
	Password string // lets the account use POST /token; never kept in the state file
}

// Options configures a simulated Trinity. The zero value is a newest-generation Trinity on free
// loopback ports with the three default people.
type Options struct {
	// BackendAddr and MCPAddr are host:port to listen on; empty means "127.0.0.1:0".
	BackendAddr string
	MCPAddr     string

	// StateFile, when set, keeps people, hashed keys, JWT secret and issued sign-ins over a restart.
	// It is replaced as a whole after each change. Codes, counters and MCP sessions are not kept.
	StateFile string

	// Codes is called for each sign-in code that is sent, before the request is answered, so that a
	// reader of the answer can rely on it. It must not call back into the Server.
	Codes func(email, code string)

	// Now is the clock of codes, tokens and lockouts; nil means time.Now. Stream timing is always real.
	Now func() time.Time

	// Rand is where secrets, codes and ids come from; nil means crypto/rand. It need not be safe for
	// concurrent use.
	Rand io.Reader

	// Logger receives what an operator would want to know, never a secret; nil discards.
	Logger *slog.Logger

	// People may sign in; nil means DefaultPeople. Those already in the state file keep what it says.
	People []Person

	// Switches are the initial switches; see Server.Set.
	Switches Switches

	// KeepAlive is the interval of SSE comments on idle streams; 0 means 15 s.
	KeepAlive time.Duration

	// ProgressStep is the time between two progress notifications of a slow chat; 0 means 100 ms.
	ProgressStep time.Duration
}

// DefaultPeople are the people of the demo.
func DefaultPeople() []Person {
	return []Person{
		{Email: "alice@example.com", Name: "Alice", Role: roleUser},
		{Email: "bob@example.com", Name: "Bob", Role: roleUser},
		{Email: "admin@example.com", Name: "Admin", Role: roleAdmin},
	}
}

const (
	loopbackAnyPort     = "127.0.0.1:0"
	defaultKeepAlive    = 15 * time.Second
	defaultProgressStep = 100 * time.Millisecond
)

func (o Options) withDefaults() Options {
	if o.BackendAddr == "" {
		o.BackendAddr = loopbackAnyPort
	}
	if o.MCPAddr == "" {
		o.MCPAddr = loopbackAnyPort
	}
	if o.Codes == nil {
		o.Codes = func(string, string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	o.Rand = &lockedReader{source: o.Rand}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.People == nil {
		o.People = DefaultPeople()
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = defaultKeepAlive
	}
	if o.ProgressStep == 0 {
		o.ProgressStep = defaultProgressStep
	}
	return o
}

// lockedReader makes a seeded, unsafe source usable from many requests at once.
type lockedReader struct {
	mu     sync.Mutex
	source io.Reader
}

func (l *lockedReader) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return io.ReadFull(l.source, p)
}
