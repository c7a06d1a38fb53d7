package oauth

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
)

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // only for types that are not written as JSON
		panic(err)
	}
	writeText(w, status, text)
}

// writeText writes an answer in JSON that may hold a credential (RFC 6749 §5.1).
func writeText(w http.ResponseWriter, status int, text []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(text) //nolint:gosec // JSON is no page; the client may be gone
}

// pageStoreDown is the page for trouble of our own.
const (
	pageStoreDown = "store-down"
	pageTooMany   = "too-many"
)

type errorBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// writeError is the one place where an error becomes an answer of a direct endpoint. What is no
// *bridge.Error is logged and shown as server_error with the request's reference: a store that
// cannot be written is 503, so that clients try again and lose nothing.
func writeError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	refused := bridge.AsError(err)
	if refused == nil {
		log.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "request_id", audit.RequestID(r.Context()), "error", err)
		refused = &bridge.Error{
			Code: "temporarily_unavailable", Status: http.StatusServiceUnavailable,
			Description: "Try again shortly, reference " + audit.RequestID(r.Context()),
		}
	}
	switch status := refused.HTTPStatus(); {
	case status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "":
		w.Header().Set("WWW-Authenticate", `Basic realm="trinity-bridge", charset="UTF-8"`)
	case status == http.StatusTooManyRequests: // AS-066
		retryAfter(w.Header(), retryAfterFor)
	case status == http.StatusServiceUnavailable:
		retryAfter(w.Header(), "5")
	}
	writeJSON(w, refused.HTTPStatus(), errorBody{Error: refused.Code, Description: refused.Description})
}

// retryAfter says when to try again, unless whoever knows better has said so.
func retryAfter(h http.Header, seconds string) {
	if h.Get("Retry-After") == "" {
		h.Set("Retry-After", seconds)
	}
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &bridge.Error{Code: invalidRequest, Description: "The body is too large", Status: http.StatusRequestEntityTooLarge}
	case err != nil:
		return nil, &bridge.Error{Code: invalidRequest, Description: "The body did not arrive whole", Cause: err}
	}
	return body, nil
}

// onlyPost answers any other method of a direct endpoint: clients need JSON there, too (B15).
func onlyPost(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", http.MethodPost)
	writeJSON(w, http.StatusMethodNotAllowed, errorBody{Error: invalidRequest, Description: "Use POST"})
}
