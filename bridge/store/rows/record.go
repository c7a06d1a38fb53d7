package rows

import (
	"encoding/json"
	"errors"
	"fmt"

	strictjson "github.com/go-json-experiment/json"

	"github.com/abilityai/trinity-bridge/bridge"
)

// maxRecordBytes is the most a record may hold before sealing, which adds 41: with that it stays in
// the tree of every engine.
const maxRecordBytes = 255 << 10

// The first byte of every record.
const (
	plainRecord  = 1 // JSON: the one row that is read before there is a key
	sealedRecord = 2 // JSON, sealed for the row
)

// place is what a record is sealed for.
func (r Ref) place() string { return string(r.Kind) + "/" + r.ID }

// Encode makes the stored form of a row's record: sealed, unless the key is nil.
func Encode(key bridge.RowKey, row Ref, record any) ([]byte, error) {
	document, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("writing a record: %w", err)
	}
	if len(document) > maxRecordBytes {
		return nil, fmt.Errorf("a record of %d bytes is too long to store", len(document))
	}
	if key == nil {
		return append([]byte{plainRecord}, document...), nil
	}
	return append([]byte{sealedRecord}, key.Seal(row.place(), document)...), nil
}

// Decode reads what Encode made for the same row, and nothing else.
func Decode(key bridge.RowKey, row Ref, value []byte, record any) error {
	if len(value) == 0 {
		return errors.New("reading a record: it is empty")
	}
	wanted, document := byte(plainRecord), value[1:]
	if key != nil {
		wanted = sealedRecord
	}
	if value[0] != wanted {
		return fmt.Errorf("reading a record: version %d is not known", value[0])
	}
	if key != nil {
		var err error
		if document, err = key.Open(row.place(), document); err != nil {
			return fmt.Errorf("reading a record: it was written with another key, or for another row: %w", err)
		}
	}
	if err := strictjson.Unmarshal(document, record); err != nil {
		return fmt.Errorf("reading a record: %w", err)
	}
	return nil
}
