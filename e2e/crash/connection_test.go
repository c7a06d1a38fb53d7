package crash_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// errCut says that the program died before it had answered whole.
var errCut = errors.New("no answer")

// step is what a connection was doing when the program died.
type step string

const (
	idle      step = ""
	redeeming step = "redeeming"
	rotating  step = "rotating"
	revoking  step = "revoking"
)

// connection is what one client was told, and what it was doing when no answer came.
type connection struct {
	bridge *bridgetest.Bridge
	client bridgetest.Client
	code   string
	tokens bridgetest.Tokens // the newest it was given
	stale  string            // the refresh token before that
	over   bool              // it was told that it is revoked
	doing  step
	told   string // the last answer
}

// post returns the status and the tokens of an answer, or errCut.
func (c *connection) post(path string, form url.Values) (status int, tokens bridgetest.Tokens, err error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Post(c.bridge.URL+path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	if err != nil {
		return 0, tokens, errCut
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, tokens, errCut
	}
	if path == "/oauth/token" {
		err = json.Unmarshal(body, &tokens)
		c.told = string(body)
	}
	return res.StatusCode, tokens, err
}

// next does the connection's next step and notes what it is told.
func (c *connection) next(revoke bool) error {
	form, path := c.bridge.RefreshForm(c.client, c.tokens.Refresh), "/oauth/token"
	switch {
	case c.tokens.Refresh == "":
		c.doing, form = redeeming, c.bridge.RedeemForm(c.client, c.code)
	case revoke:
		c.doing, path = revoking, "/oauth/revoke"
		form = url.Values{"client_id": {c.client.ID}, "token": {c.tokens.Refresh}}
	default:
		c.doing = rotating
	}
	status, tokens, err := c.post(path, form)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s came to %d", c.doing, status)
	}
	if c.doing == revoking {
		c.over = true
	} else {
		c.stale, c.tokens = c.tokens.Refresh, tokens
	}
	c.doing = idle
	return nil
}

// check looks whether what the connection was told still holds, after the program has died and
// come back. A step that was not answered may have been taken or not.
func (c *connection) check() error {
	if c.over {
		return c.wantDead()
	}
	form := c.bridge.RefreshForm(c.client, c.tokens.Refresh)
	if c.tokens.Refresh == "" {
		c.doing, form = redeeming, c.bridge.RedeemForm(c.client, c.code)
	}
	status, tokens, err := c.post("/oauth/token", form)
	switch {
	case err != nil:
		return fmt.Errorf("asking after the restart: %w", err)
	case status == http.StatusOK:
		c.stale, c.tokens, c.doing = c.tokens.Refresh, tokens, idle
		return nil
	case status == http.StatusBadRequest && (c.doing == redeeming || c.doing == revoking):
		c.over = true // it was taken: the code is spent, the grant revoked; or the code has lapsed meanwhile
		return c.wantDead()
	}
	return fmt.Errorf("what was acknowledged is lost: %q, then %d %s", c.doing, status, c.told)
}

// wantDead wants nothing of the connection to open anything.
func (c *connection) wantDead() error {
	for _, form := range []url.Values{
		c.bridge.RefreshForm(c.client, c.tokens.Refresh), c.bridge.RefreshForm(c.client, c.stale), c.bridge.RedeemForm(c.client, c.code),
	} {
		if status, _, err := c.post("/oauth/token", form); err != nil || status != http.StatusBadRequest {
			return fmt.Errorf("what was over came to %d (%w) with %s", status, err, form.Get("grant_type"))
		}
	}
	return nil
}

// replay spends the code a second time, which must be refused and ends the grant.
func (c *connection) replay() error {
	status, _, err := c.post("/oauth/token", c.bridge.RedeemForm(c.client, c.code))
	if err != nil || status != http.StatusBadRequest {
		return fmt.Errorf("a code was spent twice: %d %w", status, err)
	}
	c.over = true
	return c.wantDead()
}
