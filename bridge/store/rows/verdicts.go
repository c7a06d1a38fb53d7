package rows

import (
	"context"

	"github.com/abilityai/trinity-bridge/bridge"
)

// verdictList is the operator's verdicts as they are stored.
type verdictList struct {
	Revision int              `json:"revision"`
	Verdicts []bridge.Verdict `json:"verdicts"`
}

// Verdicts returns the operator's verdicts and the revision of their list.
func (s *Store) Verdicts(ctx context.Context) ([]bridge.Verdict, int, error) {
	var list verdictList
	_, err := readMeta(ctx, s, verdictsRow, &list)
	return list.Verdicts, list.Revision, err
}

// SwapVerdicts replaces the list if its revision is still rev, else bridge.ErrConflict.
func (s *Store) SwapVerdicts(ctx context.Context, verdicts []bridge.Verdict, rev int) error {
	return s.write(ctx, func(t *tx) error {
		var list verdictList
		if _, err := load(t, verdictsRow, &list); err != nil {
			return err
		}
		if list.Revision != rev {
			return bridge.ErrConflict
		}
		return save(t, verdictsRow, verdictList{Revision: rev + 1, Verdicts: verdicts})
	})
}
