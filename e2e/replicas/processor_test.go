//go:build replicas

package replicas

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// processor is the processor's time that this process and its children have had, by what they are: what a machine
// that others use tells of a load, too.
type processor struct{ replicas, database, rest time.Duration }

// spent reads it from the kernel, which counts in hundredths of a second. Replicas that were killed are in it.
func spent() processor {
	const tick = time.Second / 100
	type process struct {
		name          string
		parent        string
		own, children time.Duration // children: of those that have ended
	}
	all := map[string]process{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, _ := os.ReadFile(file) // empty once it is gone
		_, after, _ := strings.Cut(string(text), "(")
		end := strings.LastIndex(after, ")")
		if end < 0 {
			continue
		}
		fields := strings.Fields(after[end+1:])
		times := [4]time.Duration{} // user, system, and both of the children
		for i := range times {
			n, _ := strconv.Atoi(fields[11+i])
			times[i] = time.Duration(n) * tick
		}
		all[filepath.Base(filepath.Dir(file))] = process{after[:end], fields[1], times[0] + times[1], times[2] + times[3]}
	}
	var p processor
	self := strconv.Itoa(os.Getpid())
	for id, one := range all {
		switch {
		case id == self:
			p.rest += one.own
			p.replicas += one.children
		case one.parent == self && one.name == "postgres", all[one.parent].parent == self && one.name == "postgres":
			p.database += one.own + one.children
		case one.parent == self:
			p.replicas += one.own
		}
	}
	return p
}

// each says what one of n took since before.
func (p processor) each(n int, before processor) string {
	ms := func(now, then time.Duration) float64 { return (now - then).Seconds() * 1000 / float64(max(n, 1)) }
	return fmt.Sprintf("processor for each: replicas %.1f ms, PostgreSQL %.1f ms, people, provider, Trinity and proxy %.1f ms",
		ms(p.replicas, before.replicas), ms(p.database, before.database), ms(p.rest, before.rest))
}
