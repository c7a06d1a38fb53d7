package badger

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
)

// childRole names the environment variable that makes the test binary do one of the things below
// in a process of its own, on the folder in childDir.
const (
	childRole = "STORE_TEST_CHILD"
	childDir  = "STORE_TEST_DIR"

	childOpens  = "opens"  // opens the store and prints the error
	childWorks  = "works"  // works until it is killed, see crash_test.go
	childRolls  = "rolls"  // the same, and fills the engine's logs, see power_test.go
	childMerges = "merges" // the same, and merges all tables again and again, see compact_test.go
	childFills  = "fills"  // fills the folder's file system, see fulldisk_test.go
	childFloods = "floods" // fills it by writing to the store

	childReseals = "reseals" // seals anew until it is killed, see reseal_test.go
)

func childMain(role string) int {
	dir := os.Getenv(childDir)
	switch role {
	case childOpens:
		_, err := Open(Options{Sealer: secrettest.Ring(), Dir: dir})
		fmt.Print(err)
		return 0
	case childWorks:
		return work(dir, nil)
	case childRolls:
		return work(dir, fillLogs)
	case childMerges:
		return work(dir, mergeAll)
	case childFills:
		return fill(dir)
	case childFloods:
		return flood(dir)
	case childReseals:
		return reseal(dir)
	}
	fmt.Fprintln(os.Stderr, "no such role:", role)
	return 2
}

func childCommand(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir)
	command.Stderr = os.Stderr
	return command
}

// runChild runs this binary in a role and returns what it prints.
func runChild(t *testing.T, role, dir string) string {
	t.Helper()
	said, err := childCommand(t, role, dir).Output()
	must(t, err)
	return strings.TrimSpace(string(said))
}
