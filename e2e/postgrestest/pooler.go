package postgrestest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Pooler starts a real PgBouncer in front of a database until the test ends, and returns the database's URL through
// it. Mode is session or transaction.
func (s *Server) Pooler(t testing.TB, database, mode string) string {
	t.Helper()
	const program = "/usr/sbin/pgbouncer" // of Debian, not on everybody's PATH
	if _, err := os.Stat(program); err != nil && !Required() {
		t.Skip(err)
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("[databases]\n%s = host=127.0.0.1 port=%d user=bridge\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\n"+
		"unix_socket_dir =\nauth_type = any\npool_mode = %s\n", filepath.Base(u.Path), s.port, port, mode)
	file := filepath.Join(s.dir, "pooler-"+strconv.Itoa(port)+".ini")
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	pooler := s.command("initdb", file)
	pooler.Path, pooler.Stdout, pooler.Stderr = program, s.log, s.log
	if err := pooler.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(pooler.Process.Kill(), pooler.Wait()) })
	u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for late := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
		if err == nil {
			_ = conn.Close()
			return u.String()
		}
		if time.Now().After(late) {
			t.Fatalf("the pooler does not answer: %v\n%s", err, s.Log())
		}
	}
}
