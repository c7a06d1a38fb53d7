package badger

import (
	"encoding/json"
	"errors"
	"fmt"

	strictjson "github.com/go-json-experiment/json"

	"github.com/abilityai/trinity-bridge/bridge"
)

// The first byte of every value.
const (
	plainRecord  = 1 // JSON: the one row that is read before there is a key
	sealedRecord = 2 // JSON, sealed for the key it is stored under
)

// encode makes the stored form of the record under key.
func encode(seal bridge.RowKey, key string, record any) ([]byte, error) {
	document, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("writing a record: %w", err)
	}
	if len(document) > maxRecordBytes {
		return nil, fmt.Errorf("a record of %d bytes is too long to store", len(document))
	}
	if seal == nil {
		return append([]byte{plainRecord}, document...), nil
	}
	return append([]byte{sealedRecord}, seal.Seal(key, document)...), nil
}

// decode reads what encode made for the same key, and nothing else.
func decode(seal bridge.RowKey, key string, value []byte, record any) error {
	if len(value) == 0 {
		return errors.New("reading a record: it is empty")
	}
	wanted, document := byte(plainRecord), value[1:]
	if seal != nil {
		wanted = sealedRecord
	}
	if value[0] != wanted {
		return fmt.Errorf("reading a record: version %d is not known", value[0])
	}
	if seal != nil {
		var err error
		if document, err = seal.Open(key, document); err != nil {
			return fmt.Errorf("reading a record: it was written with another key, or for another row: %w", err)
		}
	}
	if err := strictjson.Unmarshal(document, record); err != nil {
		return fmt.Errorf("reading a record: %w", err)
	}
	return nil
}
