package badger

import (
	"encoding/json"
	"errors"
	"fmt"

	strictjson "github.com/go-json-experiment/json"
)

// recordVersion is the first byte of every value.
const recordVersion = 1

// encode makes the stored form of a record: the version byte and JSON.
func encode(record any) ([]byte, error) {
	document, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("writing a record: %w", err)
	}
	if len(document) > maxRecordBytes-1 {
		return nil, fmt.Errorf("a record of %d bytes is too long to store", len(document))
	}
	return append([]byte{recordVersion}, document...), nil
}

// decode reads what encode made, and nothing else.
func decode(value []byte, record any) error {
	if len(value) == 0 {
		return errors.New("reading a record: it is empty")
	}
	if value[0] != recordVersion {
		return fmt.Errorf("reading a record: version %d is not known", value[0])
	}
	if err := strictjson.Unmarshal(value[1:], record); err != nil {
		return fmt.Errorf("reading a record: %w", err)
	}
	return nil
}
