package rows

import "sync"

// Watchers are those who keep copies of grants. The zero value has none.
type Watchers struct {
	mu   sync.RWMutex
	next int
	all  map[int]func(grantID string)
}

// WatchGrants adds one; see bridge.GrantWatch.
func (w *Watchers) WatchGrants(changed func(grantID string)) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[int]func(string){}
	}
	id := w.next
	w.next++
	w.all[id] = changed
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, id)
	}
}

// Tell tells all of them of these grants; "" stands for every grant.
func (w *Watchers) Tell(grantIDs ...string) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, changed := range w.all {
		for _, id := range grantIDs {
			changed(id)
		}
	}
}
