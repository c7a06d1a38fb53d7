package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Keep copies the data of the server, which is not running, under a name. PutBack puts a copy in its place.
func (s *Server) Keep(name string) error { return s.copyData(s.data(), filepath.Join(s.dir, name)) }

// PutBack replaces the data of the server, which is not running, by what was kept.
func (s *Server) PutBack(name string) error {
	if err := os.RemoveAll(s.data()); err != nil {
		return err
	}
	return s.copyData(filepath.Join(s.dir, name), s.data())
}

func (s *Server) copyData(from, to string) error {
	cp := s.command("cp", "-a", from, to)
	cp.Path = "/bin/cp"
	if out, err := cp.CombinedOutput(); err != nil {
		return fmt.Errorf("copying the server's data: %w\n%s", err, out)
	}
	return nil
}

// Standby starts a synchronous standby of the server: what is acknowledged from now on is on both.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	standby, err := s.standby()
	if err != nil {
		t.Fatalf("starting a standby: %v", err)
	}
	t.Cleanup(func() {
		if err := standby.Stop(); err != nil {
			t.Errorf("stopping the standby: %v", err)
		}
	})
	return standby
}

func (s *Server) standby() (*Server, error) {
	dir, err := os.MkdirTemp("", "trinity-bridge-postgres-")
	if err != nil {
		return nil, err
	}
	standby := &Server{dir: dir, bin: s.bin, owner: s.owner, settings: s.settings}
	if err := standby.follow(s); err != nil {
		return nil, errors.Join(err, standby.Stop())
	}
	return standby, nil
}

func (s *Server) follow(primary *Server) (err error) {
	if s.owner != nil {
		if err := os.Chown(s.dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return err
		}
	}
	base := s.command("pg_basebackup", "--pgdata", s.data(), "--dbname", primary.URL("postgres"), "--write-recovery-conf", "--checkpoint", "fast", "--no-sync")
	if out, err := base.CombinedOutput(); err != nil {
		return fmt.Errorf("pg_basebackup: %w\n%s", err, out)
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		return err
	}
	if err := s.Run(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return primary.do(ctx, "alter system set synchronous_standby_names to '*'", "select pg_reload_conf()")
}

// do runs statements one after the other.
func (s *Server) do(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err = conn.Exec(ctx, statement); err != nil {
			break
		}
	}
	return errors.Join(err, conn.Close(ctx))
}
