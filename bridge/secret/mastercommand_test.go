package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const printedSecret = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="

// TestRunMasterCommand runs real programs: what comes out of them is the secret, or nothing starts.
func TestRunMasterCommand_OP34(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, script string
		want         string // in the error; "" for a good secret
	}{
		{"prints it", "echo " + printedSecret, ""},
		{"prints it, and talks", "echo chatter >&2; echo " + printedSecret, ""},
		{"prints it in two lines", "echo " + printedSecret[:20] + "; echo " + printedSecret[20:], ""},
		{"prints it with a carriage return", "printf '" + printedSecret + "\\r\\n'", ""},
		{"prints nothing", "exit 0", "is empty"},
		{"prints a weak one", "echo hunter2hunter2hunter2hunter2hunter2", "too simple"},
		{"prints a short one", "echo abcdefghijklmnop", "at least 32"},
		{"prints for ever", "yes 0123456789abcdef | head -c 200000", "more than 65536 bytes"},
		{"prints it and fails", "echo " + printedSecret + "; echo " + printedSecret + " >&2; exit 3", "exit status 3 (it said 45 bytes"},
		{"prints an error page", "echo '<html>'", "too simple"},
		{"says why not", "echo 'Access denied: this role may not use the key master-of-bridge'", "not one word"},
		{"prints a document", `echo '{"error":"access_denied","key":"master-of-bridge"}'`, "not one word"},
		{"prints a page", "echo '<html><title>502</title><h1>BadGateway</h1></html>'", "not one word"},
		{"prints two lines", "echo " + printedSecret + "; echo !" + printedSecret, "not one word"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			master, err := runMasterCommand(t.Context(), []string{"/bin/sh", "-c", tt.script}, time.Minute)
			if tt.want == "" {
				if err != nil || len(master) != 32 {
					t.Fatalf("%d bytes, %v", len(master), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), printedSecret) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// No shell reads the words, and the program's own settings do not reach what it runs.
func TestRunMasterCommand_noShellNoSettings(t *testing.T) {
	t.Setenv("TRINITY_BRIDGE_STORE", "postgres://bridge:password@db.example.com/bridge")
	t.Setenv("CREDENTIALS_OF_THE_SERVICE", printedSecret)
	script := filepath.Join(t.TempDir(), "fetch")
	text := "#!/bin/sh\n[ \"$1\" = '$(id)' ] && [ -z \"$TRINITY_BRIDGE_STORE\" ] && echo \"$CREDENTIALS_OF_THE_SERVICE\"\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	if master, err := RunMasterCommand(t.Context(), []string{script, "$(id)"}); err != nil || len(master) != 32 {
		t.Errorf("%d bytes, %v", len(master), err)
	}
}

// One that hangs is ended with all that it started.
func TestRunMasterCommand_hangs(t *testing.T) {
	t.Parallel()
	_, err := runMasterCommand(t.Context(), []string{"/bin/sh", "-c", "sleep 600 & sleep 600"}, 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "did not end within") {
		t.Errorf("error: %v", err)
	}
	if _, err := RunMasterCommand(t.Context(), []string{"/nowhere/at/all"}); err == nil {
		t.Error("a program that is not there gave a secret")
	}
	if _, err := RunMasterCommand(t.Context(), nil); err == nil {
		t.Error("no program gave a secret")
	}
}
