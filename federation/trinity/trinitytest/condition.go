package trinitytest

import (
	"context"
	"io"
	"net/http"
	"time"
)

// spaPage is the single-page app that Trinity's front end answers with on every path it does not know.
const spaPage = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Trinity</title></head>
<body><div id="app"></div><script type="module" src="/assets/index.js"></script></body>
</html>
`

// stackTrace is what a crashed Node server might show a stranger.
const stackTrace = `TypeError: Cannot read properties of undefined (reading 'scope')
    at authenticate (file:///app/dist/server.js:214:31)
    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)
`

// afflict makes a side behave as its condition says; a healthy one is passed through.
func afflict(side Side, switches *switchboard, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := switches.read()
		condition := now.Backend
		if side == SideMCP {
			condition = now.MCP
		}
		switch condition {
		case Healthy, Down:
			next.ServeHTTP(w, r)
		case Hanging:
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		case Slow:
			next.ServeHTTP(&trickle{ResponseWriter: w, ctx: r.Context(), interval: now.slowInterval()}, r)
		case ServingHTML:
			writeText(w, http.StatusOK, "text/html", spaPage)
		case Redirecting:
			http.Redirect(w, r, "/login", http.StatusFound)
		case Failing:
			failure := internalServerError
			if side == SideMCP {
				failure = stackTrace
			}
			writeText(w, http.StatusInternalServerError, "text/plain; charset=utf-8", failure)
		case EchoingCredentials:
			writeText(w, http.StatusInternalServerError, "text/plain; charset=utf-8",
				"Request failed. Authorization: "+r.Header.Get("Authorization")+"\n")
		}
	})
}

const internalServerError = "Internal Server Error"

func writeText(w http.ResponseWriter, status int, contentType, body string) {
	if contentType != "" {
		w.Header().Set("Content-Type", contentType)
	} else {
		w.Header()["Content-Type"] = nil // keeps net/http from guessing one
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a caller who has left needs no answer
}

// trickle writes one byte at a time.
type trickle struct {
	http.ResponseWriter
	ctx      context.Context
	interval time.Duration
}

func (t *trickle) Write(p []byte) (int, error) {
	flush := http.NewResponseController(t.ResponseWriter)
	for i := range p {
		if _, err := t.ResponseWriter.Write(p[i : i+1]); err != nil {
			return i, err
		}
		if err := flush.Flush(); err != nil {
			return i, err
		}
		if !pause(t.ctx, t.interval) {
			return i + 1, t.ctx.Err()
		}
	}
	return len(p), nil
}

func (t *trickle) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// pause waits and reports whether the whole time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
