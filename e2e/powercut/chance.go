package powercut

import "math/rand/v2" //nolint:depguard // nothing that is kept secret comes of it

// chance decides what a cut leaves. It is used by one at a time.
type chance struct{ source *rand.Rand }

func newChance() chance { return chance{rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))} }

// oneIn is true once in n times.
func (c chance) oneIn(n int) bool { return c.source.IntN(n) == 0 }

// What a cut leaves of one file that was not synced, or of the changes of names in one folder.
type leaves int

const (
	everything leaves = iota
	nothing
	some // pages of a file; of changes the first few, as a journal does
	torn // sectors of each page; of changes any
	outcomes
)

func (c chance) leaves() leaves { return leaves(c.source.IntN(int(outcomes))) }
