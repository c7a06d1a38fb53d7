package trinity

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Bounds on what is believed of Trinity's answers.
const (
	maxAnswerBytes = 64 << 10
	longestAnswer  = 256 << 10 // that is read
	maxListBytes   = 8 << 20   // of keys: an administrator is told of everybody's, some 400 bytes each (contract 3.2)
	maxNameBytes   = 320
	maxTokenBytes  = 8 << 10

	maxRecoveryCodes = 32

	// Trinity's longest lockout is 15 minutes; a text without seconds counts as its most common one.
	unsaidLockout = 5 * time.Minute
	maxLockout    = time.Hour
)

var (
	jwtForm = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)
	// RFC 4648 base32, and the address authenticator apps agree on; as long as a QR code stays readable.
	factorSecret = regexp.MustCompile(`^[A-Z2-7]{16,128}$`)
	factorURI    = regexp.MustCompile(`^otpauth://totp/[!-~]{1,480}$`)

	keyIDForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	seconds   = regexp.MustCompile(`\b([0-9]{1,9}) seconds\b`)
)

// read decodes a 2xx answer into into. Anything but JSON of sensible size is no answer: a proxy or
// a web page in the wrong place answers 200, too.
func read(answer *outbound.Answer, into any) error {
	if answer.Status/100 == 2 && len(answer.Body) > maxAnswerBytes {
		return fmt.Errorf("%w: status %d with more than is sensible", ErrUnavailable, answer.Status)
	}
	return readList(answer, into)
}

// readList is read for an answer that may be as long as what was read of it.
func readList(answer *outbound.Answer, into any) error {
	if answer.Status < 200 || answer.Status > 299 {
		return refusal(answer)
	}
	if !answer.JSON() {
		return fmt.Errorf("%w: status %d without JSON", ErrUnavailable, answer.Status)
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		// The decoder's own error may quote the body.
		return fmt.Errorf("%w: status %d with JSON of another form", ErrUnavailable, answer.Status)
	}
	return nil
}

// refusal is what an answer that is not 2xx means on any route; routes refine it.
func refusal(answer *outbound.Answer) error {
	if answer.Status == http.StatusTooManyRequests {
		return &LockedOutError{For: lockout(detail(answer))}
	}
	if detail(answer) != "" { // else it is not Trinity's own: FastAPI always sends a detail
		switch answer.Status {
		case http.StatusUnauthorized:
			return ErrUnauthorized
		case http.StatusForbidden:
			return ErrForbidden
		}
	}
	return fmt.Errorf("%w: status %d", ErrUnavailable, answer.Status)
}

// detail returns the detail of an error answer as text, or "" when the answer is not of the form
// {"detail": …}. A detail that is an object comes back as its JSON. It is read to tell cases apart
// and never shown or logged.
func detail(answer *outbound.Answer) string {
	if !answer.JSON() || len(answer.Body) > maxAnswerBytes {
		return ""
	}
	var body struct {
		Detail jsontext.Value `json:"detail"`
	}
	if json.Unmarshal(answer.Body, &body) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(body.Detail, &text) == nil {
		return text
	}
	return string(body.Detail)
}

// lockout reads the seconds out of Trinity's text: there is no Retry-After header.
func lockout(text string) time.Duration {
	found := seconds.FindStringSubmatch(text)
	if found == nil {
		return unsaidLockout
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		return unsaidLockout
	}
	return min(max(time.Duration(n)*time.Second, time.Second), maxLockout)
}

// readSignIn is read for the routes that need no credential.
func readSignIn(answer *outbound.Answer, into any) error {
	err := read(answer, into)
	switch {
	case errors.Is(err, ErrUnauthorized):
		return ErrWrongCode
	case !errors.Is(err, ErrForbidden):
		return err
	}
	switch text := detail(answer); {
	case text == "setup_required":
		return ErrSetupRequired
	case strings.Contains(strings.ToLower(text), "disabled"):
		return ErrEmailDisabled
	}
	return fmt.Errorf("%w: status %d", ErrUnavailable, answer.Status)
}

// readFactor is read for the routes of the second factor. How this build words its refusals is not
// documented, so every refusal is ErrWrongCode.
func readFactor(answer *outbound.Answer, into any) error {
	if detail(answer) != "" {
		switch answer.Status {
		case http.StatusNotFound, http.StatusMethodNotAllowed:
			return ErrNoSecondFactor
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity:
			return ErrWrongCode
		}
	}
	return read(answer, into)
}

// plainName reports whether a name Trinity gave can be stored, compared and shown.
func plainName(name string) bool {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	return name != "" && len(name) <= maxNameBytes && !strings.ContainsFunc(name, unprintable)
}

// tokenOf wraps a bearer value that has the form it must have, or returns the zero token.
func tokenOf(value string, form *regexp.Regexp) secret.Token {
	if len(value) > maxTokenBytes || !form.MatchString(value) {
		return secret.Token{}
	}
	return secret.New(value)
}
