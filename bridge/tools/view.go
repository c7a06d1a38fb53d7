package tools

import (
	"slices"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

// View is the tools as one caller may see and use them at one resource. It follows from the
// resource, the token and its grant alone, so that the same token sees the same list each time (GW-25).
type View struct {
	Catalogue *Catalogue
	Profile   *Profile
	Scopes    bridge.Scopes
	ActingAs  bridge.ActingKind
	// Static is for Trinity's own keys. What such a key may do and what it acts as is Trinity's to
	// say, so only the profile and what the operator hid count.
	Static bool
}

// Offers reports whether the tool called name exists for the caller at all, whatever scope it
// needs: a call of another tool is refused, and no scope would help.
func (v *View) Offers(name string) bool {
	t, known := v.Catalogue.Judge(name)
	return v.offers(t, name, known)
}

func (v *View) offers(t Tool, name string, known bool) bool {
	return !t.Hidden && v.Profile.offers(t, name, known) && (v.Static || t.For.includes(v.ActingAs))
}

// Untouched reports whether the caller sees exactly what Trinity shows: a static key does, byte for
// byte, where the profile takes all there is and the operator hid nothing (ST-08).
func (v *View) Untouched() bool { return v.Static && v.Profile.whole() && !v.Catalogue.hides }

func (v *View) shows(t Tool, name string, known bool) bool {
	return usableName(name) && v.offers(t, name, known) && (v.Static || v.Scopes.Allows(t.Scope))
}

// Listed are the entries of the catalogue that the caller sees.
func (v *View) Listed() []Tool {
	return slices.DeleteFunc(v.Catalogue.Tools(), func(t Tool) bool {
		return !v.shows(t, t.member(), true)
	})
}

// List is what the caller gets for a server's list of tools: those that are the caller's, each with
// a title and hints, in the catalogue's order. It changes listed. unknown are the tools that nobody
// has judged, whether the caller sees them or not.
func (v *View) List(listed []jsonrpc.ListedTool) (shown []jsonrpc.ListedTool, unknown []string) {
	type ranked struct {
		at    int // in listed
		place int
	}
	order := make([]ranked, 0, len(listed))
	for i := range listed {
		t, known := v.Catalogue.Judge(listed[i].Name)
		if !known {
			unknown = append(unknown, listed[i].Name)
		}
		if v.shows(t, listed[i].Name, known) && v.describe(&listed[i], t) {
			order = append(order, ranked{i, t.place})
		}
	}
	slices.SortStableFunc(order, func(a, b ranked) int {
		if a.place != b.place {
			return a.place - b.place
		}
		return strings.Compare(listed[a.at].Name, listed[b.at].Name)
	})
	shown = make([]jsonrpc.ListedTool, 0, len(order))
	for _, r := range order {
		if n := len(shown); n == 0 || shown[n-1].Name != listed[r.at].Name { // a name stands for one tool
			shown = append(shown, listed[r.at])
		}
	}
	return shown, unknown
}

// describe sets what the list says of a tool, or reports that it cannot be shown as it is.
func (v *View) describe(listed *jsonrpc.ListedTool, t Tool) bool {
	hints := t.Hints.stricter(listed.Hints)
	title, description := listed.Title, listed.Description
	if t.titled || len(titleFaults(title)) > 0 {
		title = t.titleOf(listed.Name)
	}
	if t.Description != "" {
		description = t.Description
		listed.Set.Description = description
	}
	switch {
	case hasHidden(description), v.Profile.ReadOnly && !hints.ReadOnly:
		return false
	case v.Profile.Directory && len(nameFaults(listed.Name))+len(titleFaults(title))+len(descriptionFaults(description)) > 0:
		return false
	}
	listed.Set.Title = title
	listed.Set.Hints = &[4]bool{hints.ReadOnly, hints.Destructive, hints.Idempotent, hints.OpenWorld}
	return true
}

// stricter is the judgement with what a server claims of the tool, where that is stricter.
func (h Hints) stricter(claimed jsonrpc.ClaimedHints) Hints {
	h.ReadOnly = h.ReadOnly && claimed.ReadOnly != jsonrpc.No
	h.Destructive = h.Destructive || claimed.Destructive == jsonrpc.Yes
	h.Idempotent = h.Idempotent && claimed.Idempotent != jsonrpc.No
	h.OpenWorld = h.OpenWorld || claimed.OpenWorld == jsonrpc.Yes
	h.ReadOnly = h.ReadOnly && !h.Destructive // what destroys does not only read
	return h
}
