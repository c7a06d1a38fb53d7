package powercut_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/powercut"
)

// mapping names the variable that makes this binary change a file through a mapping.
const mapping = "POWERCUT_TEST_MAP"

func TestMain(m *testing.M) {
	if path := os.Getenv(mapping); path != "" {
		if err := changeMapped(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// changeMapped makes the letters of a file capitals: the first half synced, the second not.
func changeMapped(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	content, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	half := len(content) / 2
	copy(content, strings.ToUpper(string(content[:half])))
	if err := file.Sync(); err != nil {
		return err
	}
	copy(content[half:], strings.ToUpper(string(content[half:])))
	return nil // and its end is a kill's
}

// Each way to write is cut so often at least, and then until chance has left all that it may.
const (
	cuts     = 10
	mostCuts = 500
)

// TestDisk_cut writes in the ways programs do, cuts the power, and wants all that was synced; of the rest each
// cut may leave something, and over all cuts something must have been left and something lost.
func TestDisk_cut(t *testing.T) {
	t.Parallel()
	const long = `head -c 40000 /dev/zero | tr '\0' a > f; sync f .; `
	tests := []struct {
		name, script string
		always       func(found) bool
		sometimes    map[string]func(found) bool
	}{
		{
			"a file that was not synced", "printf old > f",
			func(f found) bool { return !f.there || f.is("") || f.is("old") || f.is("\x00\x00\x00") },
			map[string]func(found) bool{"gone": missing, "empty": is(""), "whole": is("old"), "zeros": is("\x00\x00\x00")},
		},
		{"a file that was synced", "printf old > f; sync f", is("old"), nil},
		{
			"a file that was changed since", "printf old > f; sync f; printf new > f",
			func(f found) bool { return f.is("old") || f.is("new") || f.is("") || f.is("\x00\x00\x00") },
			map[string]func(found) bool{"old": is("old"), "new": is("new")},
		},
		{
			"pages that were changed since", long + `head -c 40000 /dev/zero | tr '\0' b | dd of=f bs=40000 iflag=fullblock conv=notrunc status=none`,
			func(f found) bool { return len(f.text) == 40000 && strings.Trim(f.text, "ab") == "" },
			map[string]func(found) bool{
				"all old": func(f found) bool { return !strings.Contains(f.text, "b") },
				"all new": func(f found) bool { return !strings.Contains(f.text, "a") },
				"part of a page": func(f found) bool {
					return strings.Contains(f.text[:4096], "a") && strings.Contains(f.text[:4096], "b")
				},
				"a later page": func(f found) bool { return f.text[0] == 'a' && f.text[36864] == 'b' },
			},
		},
		{
			"a mapping", long + `"$SELF"`,
			func(f found) bool { return len(f.text) == 40000 && strings.Trim(f.text[:20000], "A") == "" },
			map[string]func(found) bool{
				"kept": func(f found) bool { return strings.HasSuffix(f.text, "A") },
				"lost": func(f found) bool { return strings.HasSuffix(f.text, "a") },
			},
		},
		{
			"a rename", "printf old > f; printf new > g; sync f g; mv g f",
			func(f found) bool { return f.is("old") || f.is("new") },
			map[string]func(found) bool{"old": is("old"), "new": is("new")},
		},
		{"a rename whose folder was synced", "printf old > f; printf new > g; sync f g; mv g f; sync .", is("new"), nil},
		{"another name", "printf new > g; sync g; ln g f; rm g", func(f found) bool { return !f.there || f.is("new") }, map[string]func(found) bool{"there": is("new"), "lost": missing}},
		{"another name whose folder was synced", "printf new > g; sync g; ln g f; rm g; sync .", is("new"), nil},
		{"a removal", "printf old > f; sync f; rm f", func(f found) bool { return !f.there || f.is("old") }, map[string]func(found) bool{"gone": missing, "back": is("old")}},
		{"a removal whose folder was synced", "printf old > f; sync f; rm f; sync .", missing, nil},
		{"a file made anew", "printf old > f; sync f; rm f; printf new > f; sync f", is("new"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := powercut.New(t)
			seen := map[string]bool{}
			for i := 0; i < cuts || i < mostCuts && len(seen) < len(tt.sometimes); i++ {
				folder := fmt.Sprint("folder-", i)
				run(t, d, fmt.Sprintf("mkdir %s; sync .; cd %[1]s; %s", folder, tt.script))
				d.Cut(t)
				f := look(t, filepath.Join(d.Dir, folder, "f"))
				if !tt.always(f) {
					t.Fatalf("after %q there is %+v", tt.script, f)
				}
				for name, saw := range tt.sometimes {
					if saw(f) {
						seen[name] = true
					}
				}
			}
			for name := range tt.sometimes {
				if !seen[name] {
					t.Errorf("after %q it was never %q", tt.script, name)
				}
			}
		})
	}
}

// TestDisk_strict: without the promise of Linux's file systems a synced file may lose its name, and one in a synced folder not.
func TestDisk_strict(t *testing.T) {
	t.Parallel()
	d := powercut.Strict(t)
	lost := 0
	for i := range cuts {
		run(t, d, fmt.Sprintf("mkdir %d; sync .; cd %d; printf old > g; sync g .; printf old > f; sync f", i, i))
		d.Cut(t)
		if !look(t, filepath.Join(d.Dir, fmt.Sprint(i), "g")).is("old") {
			t.Fatal("a name in a synced folder is lost")
		}
		if !look(t, filepath.Join(d.Dir, fmt.Sprint(i), "f")).there {
			lost++
		}
	}
	if lost == 0 || lost == cuts {
		t.Errorf("%d of %d names were lost", lost, cuts)
	}
}

// TestDisk_After: a step can be waited for.
func TestDisk_After(t *testing.T) {
	t.Parallel()
	d := powercut.New(t)
	var tripped atomic.Int64
	d.After(2, func() { tripped.Add(1) })
	run(t, d, "mkdir a")
	if tripped.Load() != 0 {
		t.Error("it did not wait")
	}
	run(t, d, "mkdir b; mkdir c")
	if n := tripped.Load(); n != 1 {
		t.Errorf("it was called %d times", n)
	}
}

// TestDisk_FailSync: a sync of one file fails, once, of whoever may write it.
func TestDisk_FailSync(t *testing.T) {
	t.Parallel()
	d := powercut.New(t)
	run(t, d, "printf old > f; printf old > g; sync f g")
	var failed atomic.Int64
	d.FailSync("f", os.O_WRONLY, 2, func() { failed.Add(1) })
	run(t, d, "write() { printf $1 | dd of=$2 conv=fsync status=none; }; "+
		"write 1 g; write 2 f; sync f; if write 3 f 2> e; then false; fi; write 4 g; write 5 f; sync f")
	if f := look(t, filepath.Join(d.Dir, "f")); !f.is("5") || failed.Load() != 1 {
		t.Errorf("there is %+v, and %d syncs failed", f, failed.Load())
	}
}

// found is a file as it is found, or that there is none.
type found struct {
	there bool
	text  string
}

func (f found) is(text string) bool { return f.there && f.text == text }

func is(text string) func(found) bool { return func(f found) bool { return f.is(text) } }

func missing(f found) bool { return !f.there }

func look(t *testing.T, path string) found {
	t.Helper()
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return found{}
	}
	if err != nil {
		t.Fatal(err)
	}
	return found{true, string(text)}
}

// run runs a script on the disk, in a process of its own as everything that uses one.
func run(t *testing.T, d *powercut.Disk, script string) {
	t.Helper()
	// The shell goes there itself: a Go program that is about to start another blocks while that changes its folder.
	command := exec.CommandContext(t.Context(), "sh", "-ec", `cd "$0"; `+script, d.Dir)
	command.Env = append(os.Environ(), "SELF="+os.Args[0], mapping+"=f")
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, said)
	}
}
