package config

import (
	"os"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge/tools"
)

// Tools reads what a configuration says about tools alone, for commands that look at them. flags hold
// the file and the overlay, if any. A failure is Mistakes.
func Tools(flags Flags, lookup func(string) (string, bool)) (*tools.Catalogue, error) {
	declared, mistakes := merge(&flags, lookup)
	catalogue := checkTools(flags.ToolsOverlay, declared.profiles, &mistakes)
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	return catalogue, nil
}

// checkTools lays the operator's judgements and profiles over those of the program.
func checkTools(overlay string, declared []tools.Declaration, m *Mistakes) *tools.Catalogue {
	catalogue, err := tools.Load()
	if err != nil {
		m.add("%v", err)
		return nil
	}
	if overlay != "" {
		text, err := os.ReadFile(overlay) //nolint:gosec // the operator names the file
		if err != nil {
			m.add("--tools-overlay: %v", err)
			return nil
		}
		over, err := catalogue.Overlay(text)
		if err != nil {
			m.addLines("--tools-overlay: "+overlay, err)
			return nil // the profiles may be about what is wrong here
		}
		catalogue = over
	}
	with, err := catalogue.WithProfiles(declared)
	if err != nil {
		m.addLines("profiles", err)
		return nil
	}
	return with
}

// addLines adds the mistakes of an error that has one on each line.
func (m *Mistakes) addLines(where string, err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		m.add("%s: %s", where, line)
	}
}
