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
	packedRecord = 3 // packed fields, sealed for the row
)

// place is what a record is sealed for.
func (r Ref) place() string { return string(r.Kind) + "/" + r.ID }

// Encode makes the stored form of a row's record, to which it points: sealed, unless the key is nil.
func Encode(key bridge.RowKey, row Ref, record any) ([]byte, error) {
	fields := packing(record)
	if key == nil || fields == nil {
		return encodeJSON(key, row, record)
	}
	return seal(key, row, packedRecord, pack(row.ID, fields))
}

func encodeJSON(key bridge.RowKey, row Ref, record any) ([]byte, error) {
	document, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("writing a record: %w", err)
	}
	if key == nil {
		return append([]byte{plainRecord}, document...), nil
	}
	return seal(key, row, sealedRecord, document)
}

func seal(key bridge.RowKey, row Ref, version byte, content []byte) ([]byte, error) {
	if len(content) > maxRecordBytes {
		return nil, fmt.Errorf("a record of %d bytes is too long to store", len(content))
	}
	return append([]byte{version}, key.Seal(row.place(), content)...), nil
}

// Decode reads what Encode made for the same row, and nothing else. Records that are packed today may have been
// written as JSON.
func Decode(key bridge.RowKey, row Ref, value []byte, record any) error {
	if len(value) == 0 {
		return errors.New("reading a record: it is empty")
	}
	fields := packing(record)
	version, content := value[0], value[1:]
	if known := key == nil && version == plainRecord || key != nil && (version == sealedRecord || version == packedRecord && fields != nil); !known {
		return fmt.Errorf("reading a record: version %d is not known", version)
	}
	var err error
	if key != nil {
		if content, err = key.Open(row.place(), content); err != nil {
			return fmt.Errorf("reading a record: it was written with another key, or for another row: %w", err)
		}
	}
	if version == packedRecord {
		err = unpack(row.ID, content, fields)
	} else {
		err = strictjson.Unmarshal(content, record)
	}
	if err != nil {
		return fmt.Errorf("reading a record: %w", err)
	}
	return nil
}
