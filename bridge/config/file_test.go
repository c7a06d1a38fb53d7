package config_test

import (
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/config"
)

// key is one of Trinity's.
const key = "trinity_mcp_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

// A fileTest is a configuration file and what has to be said of it; "" when it is good.
type fileTest struct{ id, text, want string }

// loadFile loads a configuration file of that text, with more flags if edit is set.
func loadFile(t *testing.T, text string, edit func(*config.Flags)) (*config.Config, error) {
	t.Helper()
	flags := good()
	flags.Config = file(t, text)
	if edit != nil {
		edit(&flags)
	}
	return config.Load(flags, noEnvironment)
}

// loadEach loads each file. Of a bad one all that may be told is the mistake, and none of the secrets, which begin with
// hunter2; what came of a good one is handed to check.
func loadEach(t *testing.T, files []fileTest, edit func(*config.Flags), check func(t *testing.T, id string, got *config.Config)) {
	t.Helper()
	for _, tt := range files {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			got, err := loadFile(t, tt.text, edit)
			switch {
			case tt.want == "" && err != nil:
				t.Fatalf("Load: %v", err)
			case tt.want == "":
				check(t, tt.id, got)
			case err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2"):
				t.Errorf("mistakes = %v, want %q", err, tt.want)
			}
		})
	}
}
