package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// ways are how a file gets its name: with links, and where there are none.
var ways = map[string]func(file, name string) error{"linked": Name, "claimed": claim}

func TestName_movesTheFile(t *testing.T) {
	t.Parallel()
	for way, name := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file, path := filepath.Join(dir, "part"), filepath.Join(dir, "whole")
			write(t, file, "content")
			if err := name(file, path); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the file has its old name still: %v", err)
			}
			want(t, path, "content")
		})
	}
}

// TestName_replacesNothing: of many who want one name one gets it, and the others keep what they have.
func TestName_replacesNothing(t *testing.T) {
	t.Parallel()
	for way, name := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "whole")
			var all sync.WaitGroup
			var winner atomic.Value
			var won, lost atomic.Int64
			for _, content := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
				file := filepath.Join(dir, "part-"+content)
				write(t, file, content)
				all.Go(func() {
					switch err := name(file, path); {
					case err == nil:
						won.Add(1)
						winner.Store(content)
					case errors.Is(err, fs.ErrExist):
						lost.Add(1)
						want(t, file, content)
					default:
						t.Error(err)
					}
				})
			}
			all.Wait()
			if won.Load() != 1 || lost.Load() != 7 {
				t.Fatalf("%d got the name and %d did not", won.Load(), lost.Load())
			}
			want(t, path, winner.Load().(string))
		})
	}
}

func TestName_failsWhole(t *testing.T) {
	t.Parallel()
	for way, name := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "whole")
			if err := name(path+".missing", path); err == nil {
				t.Error("a file that is not there got a name")
			}
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a name is left of what failed: %v", err)
			}
		})
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, path, content string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != content {
		t.Errorf("%s holds %q, want %q (%v)", path, got, content, err)
	}
}
