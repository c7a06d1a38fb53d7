package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	strict "github.com/go-json-experiment/json"

	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/bridge/config"
)

type accessCommand struct {
	Explain accessExplain `cmd:"" help:"Say whether a person with certain claims would be let in, by which rule, and with which scopes."`
}

type accessExplain struct {
	printed
	Config string `name:"config" placeholder:"FILE" required:"" env:"TRINITY_BRIDGE_CONFIG" help:"The configuration file with the identity sources."`
	Source string `name:"source" placeholder:"NAME" help:"Only this identity source's rules."`
	Claims string `arg:"" help:"File with the claims of an ID token, as JSON."`
}

// explained is what one source's rules say.
type explained struct {
	Source   string          `json:"source"`
	Admitted bool            `json:"admitted"`
	Rule     string          `json:"rule,omitempty"`
	Scope    string          `json:"scope,omitempty"`
	Profiles []string        `json:"profiles,omitempty"`
	ActAs    []string        `json:"act_as,omitempty"` // besides themselves
	Why      string          `json:"why"`
	Tried    []admission.Try `json:"tried"`
}

var errNobody = errors.New("no rule lets this person in")

// Run fails when no source lets the person in.
func (e *accessExplain) Run(c *console) error {
	policies, err := config.Policies(e.Config)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(e.Claims)
	if err != nil {
		return fmt.Errorf("reading the claims: %w", err)
	}
	claims := admission.Claims{}
	if err := strict.Unmarshal(text, &claims); err != nil {
		return fmt.Errorf("reading the claims: %w", err)
	}
	var all []explained
	let := false
	for _, named := range policies {
		if e.Source != "" && e.Source != named.Source {
			continue
		}
		verdict := named.Policy.Decide(claims)
		admitted := verdict.Admission(time.Time{})
		var actAs []string
		for _, as := range verdict.ActAs {
			actAs = append(actAs, as.String())
		}
		all = append(all, explained{
			Source: named.Source, Admitted: verdict.Admitted, Rule: admitted.Rule, Scope: admitted.Ceiling.String(),
			Profiles: admitted.Profiles, ActAs: actAs, Why: verdict.Why, Tried: verdict.Tried,
		})
		let = let || verdict.Admitted
	}
	if len(all) == 0 {
		return errors.New("the configuration file has no such identity source")
	}
	if err := e.print(c, all); err != nil {
		return err
	}
	if !let {
		return errNobody
	}
	return nil
}

func (e *accessExplain) print(c *console, all []explained) error {
	if e.JSON {
		return json.NewEncoder(c.out).Encode(all)
	}
	for _, one := range all {
		if one.Admitted {
			_, _ = fmt.Fprintf(c.out, "%s lets this person in: rule %q, at most %s\n", one.Source, printable(one.Rule), one.Scope)
		} else {
			_, _ = fmt.Fprintf(c.out, "%s does not let this person in: %s\n", one.Source, printable(one.Why))
		}
		for _, profile := range one.Profiles {
			_, _ = fmt.Fprintf(c.out, "  profile %s\n", printable(profile))
		}
		for _, as := range one.ActAs {
			_, _ = fmt.Fprintf(c.out, "  may act as %s\n", printable(as))
		}
		for _, try := range one.Tried {
			mark := "no "
			if try.Held {
				mark = "yes"
			}
			_, _ = fmt.Fprintf(c.out, "  %s %s: %s\n", mark, printable(try.Rule), printable(try.Why))
		}
	}
	return nil
}
