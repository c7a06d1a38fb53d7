package crash_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
)

// tally is what the rounds came to.
type tally struct{ kills, starts, acknowledged, unanswered, replays, dead, broken int }

func (t *tally) fields() []*int {
	return []*int{&t.kills, &t.starts, &t.acknowledged, &t.unanswered, &t.replays, &t.dead, &t.broken}
}

// book is the table that -table names.
type book struct {
	mu   sync.Mutex
	rows map[string]*tally
}

const tableHead = `# Crashes

What the program came to when it was killed in the middle of what its clients did; ` + "`make crash`" + ` writes this page.
Every answer a client got before the kill must hold after it, every code is good once, nothing that was over comes back,
and the program must start by itself. All rounds of a line share one store. A power cut takes away, in whole or in part, what was
written and not synced: of files and of the names in folders.

| killed | kills | starts | answers noted | steps without an answer | codes spent again | looks at what was over | broken promises |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
`

func (b *book) add(how string, t tally) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rows == nil {
		b.rows = map[string]*tally{}
	}
	if b.rows[how] == nil {
		b.rows[how] = &tally{}
	}
	for i, field := range b.rows[how].fields() {
		*field += *t.fields()[i]
	}
}

// write writes the table, with what is in it already added.
func (b *book) write(path string) error {
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, how := range ways {
		for line := range strings.Lines(string(before)) {
			var old tally
			cells, found := strings.CutPrefix(line, "| "+how+" |")
			if !found {
				continue
			}
			var values []any
			for _, field := range old.fields() {
				values = append(values, field)
			}
			if _, err := fmt.Sscan(strings.ReplaceAll(cells, "|", " "), values...); err != nil {
				return fmt.Errorf("reading %s: %w", path, err)
			}
			b.add(how, old)
		}
	}
	var page strings.Builder
	page.WriteString(tableHead)
	for _, how := range ways {
		if b.rows[how] == nil {
			continue
		}
		page.WriteString("| " + how + " |")
		for _, field := range b.rows[how].fields() {
			fmt.Fprintf(&page, " %d |", *field)
		}
		page.WriteString("\n")
	}
	return os.WriteFile(path, []byte(page.String()), 0o644)
}
