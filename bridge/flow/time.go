package flow

import (
	"context"
	"time"
)

// A person waits for a page no longer than PageTime, whoever of those who are asked for it does not
// answer. AskTime of it is for asking; the rest is for saying what came of it.
const (
	PageTime = 9500 * time.Millisecond
	AskTime  = 9 * time.Second
)

// Asking is the time for asking somebody while a person waits for a page: until AskTime of the request
// is over, less what is spared for asking others after it. It does not end when the browser goes away,
// for half of a sign-in helps nobody. A context that knows of no page has AskTime from now on.
func Asking(ctx context.Context, spare time.Duration) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(PageTime)
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end.Add(AskTime-PageTime-spare))
}
