package badger

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
)

// TestStore_OP05_realFullDisk runs fill and flood on a small file system of its own.
func TestStore_OP05_realFullDisk(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "unshare", "-rm", "true").Run(); err != nil {
		t.Skip("this machine allows no private mounts:", err)
	}
	for role, size := range map[string]string{childFills: "200m", childFloods: *floodedSize} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			child := childCommand(t, role, t.TempDir())
			shell := exec.CommandContext(t.Context(), "unshare", "-rm", "sh", "-c",
				`mount -t tmpfs -o size=`+size+` none "$`+childDir+`" && exec "$0"`, child.Path)
			shell.Env = child.Env
			said, err := shell.CombinedOutput()
			if err != nil {
				t.Fatalf("the store on a full disk: %v\n%s", err, said)
			}
			t.Logf("%s", said)
		})
	}
}

// floodedSize is the size of the disk that is flooded. The floor was chosen with larger ones.
var floodedSize = flag.String("flooded", "320m", "size of the disk that TestStore_OP05_realFullDisk floods")

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
	for _, left := range []uint64{leastFloor - 1<<20, 0} {
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

// flood writes as fast as it can until the disk is full to the floor and for a while beyond, and says
// how little was left at the least: the engine goes on writing tables for what it has taken.
func flood(mount string) int {
	if err := floodedDisk(mount); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func floodedDisk(mount string) error {
	dir := filepath.Join(mount, "store")
	s, err := Open(Options{Sealer: secrettest.Ring(), Dir: dir})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var full, writers sync.WaitGroup
	for range 32 {
		full.Add(1)
		writers.Go(func() {
			told := sync.OnceFunc(full.Done)
			for ctx.Err() == nil {
				flow := flowNamed(storetest.RandomID())
				flow.Exit = make([]byte, 20<<10)
				_, _ = rand.Read(flow.Exit) // never fails
				if errors.Is(s.CreateFlow(context.WithoutCancel(ctx), flow), bridge.ErrReadOnly) {
					told()
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { full.Wait(); time.Sleep(3 * time.Second); close(done) }()
	least := ^uint64(0)
	for open := true; open; {
		select {
		case <-done:
			open = false
		default:
		}
		free, err := freeSpace(mount)
		if err != nil {
			return err
		}
		least = min(least, free)
		time.Sleep(time.Millisecond)
	}
	cancel()
	writers.Wait()
	size, err := folderSize(dir)
	if err != nil {
		return err
	}
	fmt.Printf("floor %d MiB, least free %d MiB, store %d MiB\n", floorFor(size)>>20, least>>20, size>>20)
	return s.Close()
}
