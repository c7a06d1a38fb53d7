// Package postgrestest starts a real PostgreSQL server for tests: in a folder of its own, on a free
// loopback port, ended by its process id.
//
// Where no server is installed tests skip and say so, unless TEST_POSTGRES is "required".
package postgrestest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience bounds every wait; the machine may be busy.
const patience = time.Minute

// ErrMissing says that there is no server on this machine.
var ErrMissing = errors.New("no PostgreSQL server is installed here")

// Server is a running server.
type Server struct {
	dir, bin string
	port     int
	owner    *syscall.Credential // who it runs as; nil for whoever runs the test
	settings []string
	process  *exec.Cmd
	log      *os.File
	last     atomic.Int64
}

// Required reports whether tests have to fail, not skip, where no server is installed.
func Required() bool { return os.Getenv("TEST_POSTGRES") == "required" }

// Start makes a database cluster and starts a server on it. Settings are name=value.
func Start(settings ...string) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "trinity-bridge-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, settings: settings}
	if err := s.begin(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) begin() error {
	if os.Getuid() == 0 { // the server refuses to run as root
		if err := s.own(); err != nil {
			return err
		}
	}
	initdb := s.command("initdb", "--pgdata", s.data(), "--username", "bridge", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-instructions", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	var err error
	if s.port, err = freePort(); err != nil {
		return err
	}
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		return err
	}
	return s.Run()
}

// freePort looks below the ports that the system gives to whoever asks for any, so that none of those
// takes it while the server is restarted.
func freePort() (int, error) {
	for {
		var random [2]byte
		_, _ = rand.Read(random[:]) // never fails
		port := 30_000 + int(binary.BigEndian.Uint16(random[:])%2_700)
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, err
		}
		return port, listener.Close()
	}
}

// own hands the folder to somebody the server can run as.
func (s *Server) own() error {
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(account.Uid, 10, 32)
		if err != nil {
			return err
		}
		gid, err := strconv.ParseUint(account.Gid, 10, 32)
		if err != nil {
			return err
		}
		s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return os.Chown(s.dir, int(uid), int(gid))
	}
	return errors.New("there is no account that the server can run as")
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true}
	return cmd
}

// Run starts the server on its data and waits until it answers.
func (s *Server) Run() error {
	args := []string{
		"-D", s.data(), "-p", strconv.Itoa(s.port), "-k", s.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=800", "-c", "shared_buffers=64MB",
	}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	s.process = s.command("postgres", args...)
	s.process.Stdout, s.process.Stderr = s.log, s.log
	if err := s.process.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w\n%s", err, s.Log())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Demote has the server, which is not running, be a standby when it runs again. It is promoted with pg_promote.
func (s *Server) Demote() error {
	signal := filepath.Join(s.data(), "standby.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil || s.owner == nil {
		return err
	}
	return os.Chown(signal, int(s.owner.Uid), int(s.owner.Gid))
}

// Halt ends the server: with SIGINT it closes its connections and stops in order, with SIGQUIT it
// stops as in a crash.
func (s *Server) Halt(signal syscall.Signal) error {
	if s.process == nil || s.process.Process == nil {
		return nil
	}
	process := s.process
	s.process = nil
	if err := process.Process.Signal(signal); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- process.Wait() }()
	select {
	case <-done: // with a status that says it was told to
		return nil
	case <-time.After(patience):
		return errors.Join(errors.New("the server did not stop"), process.Process.Kill(), <-done)
	}
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() error {
	err := s.Halt(syscall.SIGQUIT)
	if s.log != nil {
		err = errors.Join(err, s.log.Close())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Log is what the server has said so far.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(bytes.TrimSpace(text))
}

// Addr is where the server listens.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is a database of the server.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("bridge"), Host: s.Addr(), Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Create makes an empty database and returns its URL.
func (s *Server) Create(ctx context.Context) (string, error) {
	name := fmt.Sprintf("test_%d", s.last.Add(1))
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "create database "+name)
	return s.URL(name), errors.Join(err, conn.Close(ctx))
}

// Database is Create for a test. A nil server, which stands for none, skips it.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	if s == nil {
		t.Skip(ErrMissing.Error() + ": make test-postgres runs this for certain")
	}
	at, err := s.Create(t.Context())
	if err != nil {
		t.Fatalf("making a database: %v", err)
	}
	return at
}

// Own starts a server that is one test's own, with settings as for Start.
func Own(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := Start(settings...)
	if errors.Is(err, ErrMissing) && !Required() {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("starting PostgreSQL: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping PostgreSQL: %v", err)
		}
	})
	return s
}

// find returns the folder of the newest server's programs.
func find() (string, error) {
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(folders, func(a, b string) int { return version(b) - version(a) })
	if path, err := exec.LookPath("postgres"); err == nil {
		folders = append(folders, filepath.Dir(path))
	}
	for _, folder := range folders {
		_, noServer := os.Stat(filepath.Join(folder, "postgres"))
		_, noInit := os.Stat(filepath.Join(folder, "initdb"))
		if noServer == nil && noInit == nil {
			return folder, nil
		}
	}
	return "", ErrMissing
}

func version(folder string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	return n
}

// Main runs a package's tests with one server, which use hands to them: nil where none is installed
// and none is required.
func Main(m *testing.M, use func(*Server)) int {
	server, err := Start()
	switch {
	case errors.Is(err, ErrMissing) && !Required():
		return m.Run()
	case err != nil:
		fmt.Fprintln(os.Stderr, "starting PostgreSQL:", err)
		return 1
	}
	use(server)
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping PostgreSQL:", err)
		return 1
	}
	return code
}
