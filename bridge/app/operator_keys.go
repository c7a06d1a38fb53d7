package app

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/token"
)

// ListedKey is a signing key as the operator sees it: nothing to sign with.
type ListedKey struct {
	ID        string         `json:"id"` // kid
	Algorithm string         `json:"alg"`
	Phase     token.KeyPhase `json:"phase"`
	CreatedAt time.Time      `json:"created_at"`
	SignsFrom *time.Time     `json:"signs_from,omitempty"` // none: not called yet
	RetiresAt *time.Time     `json:"retires_at,omitempty"` // none: no other is to take over
}

func (o *operator) listKeys(w http.ResponseWriter, r *http.Request) {
	keys, err := o.keys.Keys(r.Context())
	if err != nil {
		o.failed(w, r, err)
		return
	}
	listed := make([]ListedKey, 0, len(keys))
	for _, key := range keys {
		listed = append(listed, listedKey(key))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(listed)
}

// rotateKeys rotates and answers with the keys there are then.
func (o *operator) rotateKeys(w http.ResponseWriter, r *http.Request) {
	rotate := o.keys.Rotate
	switch r.URL.Query().Get("emergency") {
	case "":
	case "true":
		rotate = o.keys.RotateNow
	default:
		refuse(w, http.StatusBadRequest, "emergency is true or left out")
		return
	}
	err := rotate(r.Context())
	if errors.Is(err, token.ErrRotating) {
		refuse(w, http.StatusConflict, "A rotation is under way: wait until the next key signs, or make it an emergency")
		return
	}
	if err != nil {
		o.failed(w, r, err)
		return
	}
	o.listKeys(w, r)
}

func listedKey(k token.KeyInfo) ListedKey {
	listed := ListedKey{ID: k.ID, Algorithm: k.Algorithm, Phase: k.Phase, CreatedAt: k.CreatedAt}
	if !k.SignsFrom.IsZero() {
		listed.SignsFrom = &k.SignsFrom
	}
	if !k.RetiresAt.IsZero() {
		listed.RetiresAt = &k.RetiresAt
	}
	return listed
}

// resealAtOnce is how many rows one call of the command looks at: it takes well below its timeout.
const resealAtOnce = 500

// reseal does a part of sealing anew, from where the command says.
func (o *operator) reseal(w http.ResponseWriter, r *http.Request) {
	done, err := o.store.Reseal(r.Context(), r.URL.Query().Get("after"), resealAtOnce, o.now())
	if err != nil {
		o.failed(w, r, err)
		return
	}
	if done.Lost > 0 {
		o.log.WarnContext(r.Context(), "sealed values are opened by no secret", "values", done.Lost)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(done)
}
