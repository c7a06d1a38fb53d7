package flow

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/securecookie"
)

// texts is how the values of a cookie are written: texts under names that are texts. The default, gob, describes its
// types in every cookie and compiles them anew to read it: with gob a page takes 34 µs to find its flow, so 10 (BenchmarkKeeper_Current).
type texts struct{}

var (
	_         securecookie.Serializer = texts{}
	errValues                         = errors.New("the values of a cookie are not texts")
)

// Serialize writes values.
func (texts) Serialize(src any) ([]byte, error) {
	values, _ := src.(map[any]any)
	written := map[string]string{}
	for name, value := range values {
		n, named := name.(string)
		v, isText := value.(string)
		if !named || !isText {
			return nil, errValues
		}
		written[n] = v
	}
	return json.Marshal(written) //nolint:wrapcheck // a map of texts
}

// Deserialize reads what Serialize wrote.
func (texts) Deserialize(src []byte, dst any) error {
	into, ok := dst.(*map[any]any)
	if !ok {
		return errValues
	}
	var written map[string]string
	if err := json.Unmarshal(src, &written); err != nil {
		return err //nolint:wrapcheck // whoever reads it takes no notice of why
	}
	*into = map[any]any{}
	for name, value := range written {
		(*into)[name] = value
	}
	return nil
}
