package app

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const operatorTimeout = 10 * time.Second

// maxOperatorBytes is the most that is read of an answer: a page of grants, or the clients of countedGrants of them,
// whose ids may be long.
const maxOperatorBytes = 32 << 20

// ListGrants asks the running bridge of a data folder for all grants of a person and of a client, newest first; empty
// words stand for everybody. An error ends the list.
func ListGrants(ctx context.Context, data, person, client string) iter.Seq2[ListedGrant, error] {
	query := url.Values{"person": {person}, "client": {client}}
	return pages(ctx, data, "/grants", query, func(g ListedGrant) string { return g.ID })
}

// OneGrant asks the running bridge of a data folder for a grant.
func OneGrant(ctx context.Context, data, id string) (grant ListedGrant, err error) {
	return grant, callOperator(ctx, data, http.MethodGet, "/grants/one", url.Values{"id": {id}}, &grant)
}

// RevokeGrants has the running bridge of a data folder end grants, and calls ended with those that are over then. An error
// about one keeps it from no other of the same hundred.
func RevokeGrants(ctx context.Context, data string, ids []string, ended func(ListedGrant)) error {
	operator, err := reachOperator(ctx, data, operatorTimeout)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(ids, defaultListed) {
		var answer revoked
		if err := operator.call(ctx, http.MethodPost, "/grants/revoke", url.Values{"id": some}, nil, &answer); err != nil {
			return err
		}
		for _, grant := range answer.Ended {
			ended(grant)
		}
		if answer.Failed != "" {
			return errors.New(answer.Failed)
		}
	}
	return nil
}

// pages asks the running bridge of a data folder for a list, a page when it is wanted, so that the longest one is never
// held.
func pages[T any](ctx context.Context, data, path string, query url.Values, id func(T) string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		operator, err := reachOperator(ctx, data, operatorTimeout)
		if err != nil {
			yield(none, err)
			return
		}
		next := maps.Clone(query)
		for {
			var page []T
			if err := operator.call(ctx, http.MethodGet, path, next, nil, &page); err != nil {
				yield(none, err)
				return
			}
			for _, one := range page {
				if !yield(one, nil) {
					return
				}
			}
			if len(page) < defaultListed {
				return
			}
			next.Set("after", id(page[len(page)-1]))
		}
	}
}

// ListKeys asks the running bridge of a data folder for its signing keys.
func ListKeys(ctx context.Context, data string) ([]ListedKey, error) {
	var keys []ListedKey
	return keys, callOperator(ctx, data, http.MethodGet, "/keys", nil, &keys)
}

// RotateKeys has the running bridge of a data folder rotate its signing keys, and returns them. In
// an emergency all keys are dropped, and every access token with them.
func RotateKeys(ctx context.Context, data string, emergency bool) ([]ListedKey, error) {
	query := url.Values{}
	if emergency {
		query.Set("emergency", "true")
	}
	var keys []ListedKey
	return keys, callOperator(ctx, data, http.MethodPost, "/keys/rotate", query, &keys)
}

// resealWalks is how often everything is looked at, at most: each walk after the first finds only what was
// written meanwhile by a replica that seals under another secret.
const resealWalks = 5

// Reseal has the running bridge of a data folder seal anew, under its secret, what the previous one has
// sealed, until a walk finds nothing more. It returns the last walk and how many values were sealed anew
// in all.
func Reseal(ctx context.Context, data string) (last bridge.Resealed, anew int, err error) {
	operator, err := reachOperator(ctx, data, operatorTimeout)
	if err != nil {
		return last, 0, err
	}
	for range resealWalks {
		last = bridge.Resealed{}
		for {
			var part bridge.Resealed
			if err := operator.call(ctx, http.MethodPost, "/keys/reseal", url.Values{"after": {last.Next}}, nil, &part); err != nil {
				return last, anew, err
			}
			last.Values, last.Anew, last.Lost = last.Values+part.Values, last.Anew+part.Anew, last.Lost+part.Lost
			if last.Next = part.Next; last.Next == "" {
				break
			}
		}
		if anew += last.Anew; last.Anew == 0 {
			return last, anew, nil
		}
	}
	return last, anew, errors.New("values go on being sealed under the previous secret: a replica uses it still")
}

// Health asks the running bridge of a data folder whether it can do its whole job. An error says
// what is missing.
func Health(ctx context.Context, data string) error {
	operator, err := reachOperator(ctx, data, operatorTimeout)
	if err != nil {
		return err
	}
	answer, err := operator.ask(ctx, http.MethodGet, "/readyz", nil, nil)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return errors.New(strings.TrimSpace(string(answer.Body)))
	}
	return nil
}

// running is the running bridge of a data folder, as commands ask it.
type running struct {
	client *outbound.Client
	header http.Header
}

// callOperator is for who asks once.
func callOperator(ctx context.Context, data, method, path string, query url.Values, into any) error {
	operator, err := reachOperator(ctx, data, operatorTimeout)
	if err != nil {
		return err
	}
	return operator.call(ctx, method, path, query, nil, into)
}

func (r *running) call(ctx context.Context, method, path string, query url.Values, body []byte, into any) error {
	answer, err := r.ask(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	return readAnswer(answer, into)
}

func (r *running) ask(ctx context.Context, method, path string, query url.Values, body []byte) (*outbound.Answer, error) {
	answer, err := r.client.DoLong(ctx, method, path+"?"+query.Encode(), r.header, body, maxOperatorBytes)
	if err != nil {
		return nil, fmt.Errorf("asking the running bridge: %w", err)
	}
	return answer, nil
}

func readAnswer(answer *outbound.Answer, into any) error {
	if err := refusal(answer); err != nil {
		return err
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return fmt.Errorf("reading the running bridge's answer: %w", err)
	}
	return nil
}

// refusal is what an answer refuses with, nil for one that does not.
func refusal(answer *outbound.Answer) error {
	if answer.Status == http.StatusOK {
		return nil
	}
	var refused struct {
		Description string `json:"error_description"`
	}
	if json.Unmarshal(answer.Body, &refused) != nil || refused.Description == "" {
		refused.Description = http.StatusText(answer.Status)
	}
	return errors.New(refused.Description)
}

// errNotRunning says that no bridge has left word in the data folder of where it is.
var errNotRunning = errors.New("no bridge is running")

// reachOperator finds the running bridge of a data folder. A timeout of 0 is none.
func reachOperator(ctx context.Context, data string, timeout time.Duration) (*running, error) {
	text, err := os.ReadFile(filepath.Join(data, operatorFile)) //nolint:gosec // the operator names the folder
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w on the data folder %s", errNotRunning, data)
	}
	if err != nil {
		return nil, fmt.Errorf("finding the running bridge: %w", err)
	}
	var word Operator
	if err := json.Unmarshal(text, &word); err != nil { // one that died while it wrote it, or is about to
		return nil, fmt.Errorf("%w on the data folder %s: what one has left in %s is not whole: %w", errNotRunning, data, operatorFile, err)
	}
	client := outbound.Fixed(&url.URL{Scheme: "http", Host: word.Address}, timeout)
	r := &running{client, http.Header{"Authorization": {"Bearer " + word.Token}}}
	return r, r.recognise(ctx, data, word)
}

// recognise has whoever answers prove that they wrote the word in the data folder, before they are told anything. One that
// was killed leaves its word behind, and its port to anybody on the machine.
func (r *running) recognise(ctx context.Context, data string, word Operator) error {
	ctx, cancel := context.WithTimeout(ctx, operatorTimeout)
	defer cancel()
	nonce := rand.Text()
	answer, err := r.client.Do(ctx, http.MethodGet, pathProof+"?nonce="+nonce, nil, nil)
	if err != nil {
		return fmt.Errorf("asking the running bridge: %w", err)
	}
	if !hmac.Equal(answer.Body, proof(secret.New(word.Token), nonce)) {
		return fmt.Errorf("%w on the data folder %s: what answers at %s is not the one that left its word there, or one of another version", errNotRunning, data, word.Address)
	}
	return nil
}
