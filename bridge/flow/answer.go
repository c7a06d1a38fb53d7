package flow

import (
	"net/url"
	"strings"
)

// AnswerURL is the client's redirect URI with an answer: the given parameters, the client's
// state where there was one, and iss, on success and on error alike (RFC 9207 §2). The URI keeps
// its own query byte for byte; it holds none of these names (clients.CheckRedirect).
func AnswerURL(redirect, issuer, state string, answer url.Values) string {
	answer.Set("iss", issuer)
	if state != "" {
		answer.Set("state", state)
	}
	separator := "?"
	if strings.Contains(redirect, "?") {
		separator = "&"
	}
	return redirect + separator + answer.Encode()
}
