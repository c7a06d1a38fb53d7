package jsonrpc

import "strings"

// The members that are read, per level.
func knownTop() []string    { return []string{"jsonrpc", "id", "method", "params", "result", "error"} }
func knownParams() []string { return []string{"name", "uri", "taskId", "_meta", "arguments"} }
func knownMeta() []string   { return []string{metaVersion, metaLogLevel} }

// shape is what a message had.
type shape struct {
	version, id, method, params, result, failure bool
}

func (r *Reader) message() (Message, error) {
	var m Message
	var has shape
	r.fault = ""
	err := r.object(knownTop(), func(name []byte) (bool, error) {
		var err error
		switch string(name) {
		case "jsonrpc":
			var version string
			version, err = r.text(0, "jsonrpc is not 2.0")
			has.version = version == "2.0"
		case "id":
			has.id = true
			m.ID, err = r.id()
		case "method":
			has.method = true
			m.Method, err = r.text(maxMethod, "the method is not a name")
		case "params":
			has.params = true
			err = r.params(&m)
		case "result":
			has.result = true
			_, err = r.dec.ReadValue()
		case "error":
			has.failure = true
			_, err = r.dec.ReadValue()
		default:
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return Message{}, err
	}
	m.Kind = r.kind(m, has)
	if r.fault != "" {
		return Message{}, &Error{Code: CodeInvalidRequest, Message: r.fault, ID: m.ID}
	}
	return m, nil
}

// kind classifies a message that may be one of the three and nothing in between (RS-42).
func (r *Reader) kind(m Message, has shape) Kind {
	if !has.version {
		r.wrong("jsonrpc is not 2.0")
	}
	notice := strings.HasPrefix(m.Method, "notifications/")
	switch {
	case has.method && (has.result || has.failure):
		r.wrong("a message is a request or a response, not both")
	case has.method && m.Method == "":
		r.wrong("the method is not a name")
	case has.method && has.id && notice:
		r.wrong("a notification has no id")
	case has.method && has.id:
		return Request
	case has.method && !notice:
		r.wrong("a request has an id")
	case has.method:
		return Notification
	case has.result == has.failure || !has.id || has.params:
		r.wrong("the object is neither a request nor a response")
	}
	return Response
}

func (r *Reader) id() (ID, error) {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return "", err
	}
	id := ID(raw)
	switch {
	case len(raw) > maxIDBytes:
	case raw.Kind() == '"', raw.Kind() == '0' && wholeNumber(string(raw)):
		return id, nil
	}
	r.wrong("an id is a string or a whole number")
	return "", nil
}

func (r *Reader) params(m *Message) error {
	if r.dec.PeekKind() != '{' {
		r.wrong("params is not an object")
		_, err := r.dec.ReadValue()
		return err
	}
	return r.object(knownParams(), func(name []byte) (bool, error) {
		var err error
		switch string(name) {
		case "name":
			m.Name, err = r.text(0, "params.name is not a string")
		case "uri":
			m.URI, err = r.text(0, "params.uri is not a string")
		case "taskId":
			m.TaskID, err = r.text(0, "params.taskId is not a string")
		case "_meta":
			err = r.meta(m)
		case "arguments":
			_, err = r.dec.ReadValue()
		default:
			return false, nil
		}
		return true, err
	})
}

func (r *Reader) meta(m *Message) error {
	if r.dec.PeekKind() != '{' {
		r.wrong("params._meta is not an object")
		_, err := r.dec.ReadValue()
		return err
	}
	return r.object(knownMeta(), func(name []byte) (bool, error) {
		var err error
		switch string(name) {
		case metaVersion:
			m.Version, err = r.text(0, "the protocol version is not a string")
		case metaLogLevel:
			m.LogLevel, err = r.text(0, "the log level is not a string")
		default:
			return false, nil
		}
		return true, err
	})
}
