package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

const operatorTimeout = 10 * time.Second

// ListGrants asks the running bridge of a data folder for its grants.
func ListGrants(ctx context.Context, data, person, client string) ([]ListedGrant, error) {
	var grants []ListedGrant
	query := url.Values{"person": {person}, "client": {client}}
	return grants, callOperator(ctx, data, http.MethodGet, "/grants", query, &grants)
}

// RevokeGrant has the running bridge of a data folder end a grant.
func RevokeGrant(ctx context.Context, data, id string) (ListedGrant, error) {
	var grant ListedGrant
	return grant, callOperator(ctx, data, http.MethodPost, "/grants/revoke", url.Values{"id": {id}}, &grant)
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
	for range resealWalks {
		last = bridge.Resealed{}
		for {
			var part bridge.Resealed
			if err := callOperator(ctx, data, http.MethodPost, "/keys/reseal", url.Values{"after": {last.Next}}, &part); err != nil {
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
	answer, err := askOperator(ctx, data, http.MethodGet, "/readyz", nil, nil)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return errors.New(strings.TrimSpace(string(answer.Body)))
	}
	return nil
}

func callOperator(ctx context.Context, data, method, path string, query url.Values, into any) error {
	return sendOperator(ctx, data, method, path, query, nil, into)
}

// sendOperator is callOperator with a body.
func sendOperator(ctx context.Context, data, method, path string, query url.Values, body []byte, into any) error {
	answer, err := askOperator(ctx, data, method, path, query, body)
	if err != nil {
		return err
	}
	return readAnswer(answer, into)
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

func askOperator(ctx context.Context, data, method, path string, query url.Values, body []byte) (*outbound.Answer, error) {
	client, header, err := reachOperator(data, operatorTimeout)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(ctx, method, path+"?"+query.Encode(), header, body)
	if err != nil {
		return nil, fmt.Errorf("asking the running bridge: %w", err)
	}
	return answer, nil
}

// errNotRunning says that no bridge has left word in the data folder of where it is.
var errNotRunning = errors.New("no bridge is running")

// reachOperator finds the running bridge of a data folder. A timeout of 0 is none.
func reachOperator(data string, timeout time.Duration) (*outbound.Client, http.Header, error) {
	text, err := os.ReadFile(filepath.Join(data, operatorFile)) //nolint:gosec // the operator names the folder
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w on the data folder %s", errNotRunning, data)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("finding the running bridge: %w", err)
	}
	var running Operator
	if err := json.Unmarshal(text, &running); err != nil { // one that died while it wrote it, or is about to
		return nil, nil, fmt.Errorf("%w on the data folder %s: what one has left in %s is not whole: %w", errNotRunning, data, operatorFile, err)
	}
	client := outbound.Fixed(&url.URL{Scheme: "http", Host: running.Address}, timeout)
	return client, http.Header{"Authorization": {"Bearer " + running.Token}}, nil
}
