package badger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
)

// TestStore_OP05_realFullDisk runs fill on a small file system of its own.
func TestStore_OP05_realFullDisk(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "unshare", "-rm", "true").Run(); err != nil {
		t.Skip("this machine allows no private mounts:", err)
	}
	child := childCommand(t, childFills, t.TempDir())
	shell := exec.CommandContext(t.Context(), "unshare", "-rm", "sh", "-c",
		`mount -t tmpfs -o size=200m none "$`+childDir+`" && exec "$0"`, child.Path)
	shell.Env = child.Env
	said, err := shell.CombinedOutput()
	if err != nil || strings.TrimSpace(string(said)) != "boring" {
		t.Fatalf("the store on a full disk: %v\n%s", err, said)
	}
}

// fill fills the disk under an open store, to the floor and to the last byte, and makes room again.
func fill(mount string) int {
	if err := fullDisk(mount); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("boring")
	return 0
}

func fullDisk(mount string) error {
	s, err := Open(Options{Sealer: secrettest.Ring(), Dir: filepath.Join(mount, "store")})
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := s.CreateFlow(ctx, flowNamed("before")); err != nil {
		return err
	}
	for _, left := range []uint64{DefaultFreeSpaceFloor - 1<<20, 0} {
		ballast, err := fillTo(mount, left)
		if err != nil {
			return err
		}
		if err := refusesWrites(ctx, s); err != nil {
			return fmt.Errorf("with %d bytes left: %w", left, err)
		}
		if _, err := Open(Options{Sealer: secrettest.Ring(), Dir: filepath.Join(mount, "other")}); err == nil || !strings.Contains(err.Error(), "are needed") {
			return fmt.Errorf("opening with %d bytes left: %w", left, err)
		}
		if err := os.Remove(ballast); err != nil {
			return err
		}
		if err := errors.Join(s.Ping(ctx), s.CreateFlow(ctx, flowNamed(fmt.Sprint("after-", left)))); err != nil {
			return fmt.Errorf("after making room: %w", err)
		}
	}
	if _, err := fillTo(mount, 0); err != nil {
		return err
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "nothing is lost") {
		return fmt.Errorf("closing: %w", err)
	}
	return nil
}

func refusesWrites(ctx context.Context, s *Store) error {
	if err := s.CreateFlow(ctx, flowNamed("refused")); !errors.Is(err, bridge.ErrReadOnly) {
		return fmt.Errorf("a write came to %w", err)
	}
	_, err := s.Flow(ctx, "before", testTime)
	return err
}

// fillTo writes a file that leaves so many bytes free, and returns its name.
func fillTo(mount string, left uint64) (string, error) {
	ballast, err := os.Create(filepath.Join(mount, "ballast"))
	if err != nil {
		return "", err
	}
	block := make([]byte, 64<<10)
	for {
		free, err := freeSpace(mount)
		if err != nil || free <= left {
			return ballast.Name(), errors.Join(err, ballast.Close())
		}
		if _, err := ballast.Write(block[:min(uint64(len(block)), free-left)]); err != nil {
			return "", errors.Join(err, ballast.Close())
		}
	}
}
