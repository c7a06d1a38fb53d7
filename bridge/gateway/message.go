package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

const firstRead = 64 << 10 // the most that is set aside for a body on its sender's word

// readMessage reads and judges the form of a POST: body, version, and what headers repeat of it.
func (x *exchange) readMessage() *refusal {
	if !isMedia(x.r.Header.Get("Content-Type"), mediaJSON) {
		return &refusal{
			status: http.StatusUnsupportedMediaType, code: jsonrpc.CodeInvalidRequest, message: "The body must be application/json",
		}
	}
	if no := x.readBody(); no != nil {
		return no
	}
	reader, ok := x.g.readers.Get().(*jsonrpc.Reader)
	if !ok {
		return x.internal(errors.New("the pool of readers holds something else"))
	}
	body, err := reader.Read(x.data)
	x.g.readers.Put(reader)
	if refused := jsonrpc.AsError(err); refused != nil {
		x.body.Messages = []jsonrpc.Message{{ID: refused.ID}} // the answer carries the id
		return malformed(refused.Code, refused.Message)
	}
	x.body = body
	if no := x.readVersion(); no != nil {
		return no
	}
	return x.checkForm()
}

// readBody reads the whole body: what is judged is what is forwarded (I9). A body that is too
// large, too slow or cut off ends the connection. At its end net/http takes the deadline back, and
// waits for the client to leave.
func (x *exchange) readBody() *refusal {
	limits := &x.g.Limits
	if x.r.ContentLength > limits.BodyBytes {
		return largeBody()
	}
	if x.r.Body == http.NoBody {
		return nil
	}
	end := time.Now().Add(limits.BodyTotal)
	data := make([]byte, 0, min(max(x.r.ContentLength+1, 512), firstRead))
	for {
		deadline := time.Now().Add(limits.BodyIdle)
		if deadline.After(end) {
			deadline = end
		}
		if err := x.control.SetReadDeadline(deadline); err != nil {
			return x.internal(err)
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := x.r.Body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if int64(len(data)) > limits.BodyBytes {
			return largeBody()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return brokenBody(err)
		}
	}
	x.data = data
	return nil
}

func largeBody() *refusal {
	return &refusal{
		status: http.StatusRequestEntityTooLarge, code: jsonrpc.CodeInvalidRequest, message: "The body is too large", hangUp: true,
		outcome: "malformed", detail: "the body is too large",
	}
}

func brokenBody(err error) *refusal {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &refusal{
			status: http.StatusRequestTimeout, code: jsonrpc.CodeInvalidRequest, message: "The body came too slowly", hangUp: true,
			outcome: "malformed", detail: "the body came too slowly",
		}
	}
	no := malformed(jsonrpc.CodeInvalidRequest, "The body is cut off")
	no.hangUp, no.cause = true, err
	return no
}

func (x *exchange) internal(err error) *refusal {
	return &refusal{status: http.StatusInternalServerError, code: jsonrpc.CodeInternal, message: "Something went wrong", cause: err}
}

// The media types of MCP's transport.
const (
	mediaJSON   = "application/json"
	mediaEvents = "text/event-stream"
)

// isMedia reports whether a Content-Type is media, whatever its parameters.
func isMedia(contentType, media string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(kind), media)
}
