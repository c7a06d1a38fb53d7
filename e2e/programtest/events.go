package programtest

import (
	"encoding/json"
	"strings"
	"testing"
)

// AwaitEvent waits for the next {"event":name} line and decodes it into a T. The event "failed" fails the test.
func AwaitEvent[T any](t *testing.T, p *Program, name string) T {
	t.Helper()
	var found *T
	p.Await(t, "the event "+name, func(l Line) bool {
		if broken := decodeEvent[struct{ Error, Stack string }](t, p, l, "failed"); broken != nil {
			t.Fatalf("%s failed before the event %s: %s\n%s", p.Name, name, broken.Error, broken.Stack)
		}
		found = decodeEvent[T](t, p, l, name)
		return found != nil
	})
	return *found
}

// EventsSoFar are all events of a name that the program has printed.
func EventsSoFar[T any](t *testing.T, p *Program, name string) []T {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var events []T
	for _, l := range p.lines {
		if event := decodeEvent[T](t, p, l, name); event != nil {
			events = append(events, *event)
		}
	}
	return events
}

// TheEvent is the one event of its name that the program has printed.
func TheEvent[T any](t *testing.T, p *Program, name string) T {
	t.Helper()
	all := EventsSoFar[T](t, p, name)
	if len(all) != 1 {
		t.Fatalf("%s told %d events %s, want one", p.Name, len(all), name)
	}
	return all[0]
}

// decodeEvent gives nil when the line is not the named event.
func decodeEvent[T any](t *testing.T, p *Program, l Line, name string) *T {
	t.Helper()
	if l.Stderr || !strings.HasPrefix(l.Text, `{"event":`) {
		return nil
	}
	var head struct{ Event string }
	if err := json.Unmarshal([]byte(l.Text), &head); err != nil {
		t.Fatalf("%s printed %q: %v", p.Name, l.Text, err)
	}
	if head.Event != name {
		return nil
	}
	event := new(T)
	if err := json.Unmarshal([]byte(l.Text), event); err != nil {
		t.Fatalf("%s: event %s: %v", p.Name, name, err)
	}
	return event
}
