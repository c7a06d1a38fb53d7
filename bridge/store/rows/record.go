package rows

import (
	"encoding/json"
	"errors"
	"fmt"

	strictjson "github.com/go-json-experiment/json"

	"github.com/abilityai/trinity-bridge/bridge"
)

// maxRecordBytes is the most a record may hold before sealing, which adds 17: with that it stays in
// the tree of every engine.
const maxRecordBytes = 255 << 10

// The first byte of every record.
const (
	plainRecord     = 1 // JSON: the one row that is read before there is a key
	oldSealedRecord = 2 // as sealedRecord, in the older seal that is only opened
	oldPackedRecord = 3 // packed as records are no longer, in that seal
	sealedRecord    = 4 // JSON, sealed for the row
	packedRecord    = 5 // packed, sealed for the row
)

// place is what a record is sealed for.
func (r Ref) place() string { return string(r.Kind) + "/" + r.ID }

// Encode makes the stored form of a row's record, to which it points: sealed, unless the key is nil.
func Encode(key bridge.RowKey, row Ref, record any) ([]byte, error) {
	fields := packing(record)
	if key == nil || fields == nil {
		return encodeJSON(key, row, record)
	}
	return seal(key, row, packedRecord, pack(key.Base(), row.ID, fields))
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
// packed otherwise, or written as JSON.
func Decode(key bridge.RowKey, row Ref, value []byte, record any) error {
	content, version, err := open(key, row, value)
	switch {
	case err != nil:
	case version == packedRecord:
		err = unpack(key.Base(), row.ID, content, packing(record))
	case version == oldPackedRecord:
		err = unpackOld(key.Base(), row.ID, content, packing(record))
	default:
		err = strictjson.Unmarshal(content, record)
	}
	if err != nil {
		return fmt.Errorf("reading a record: %w", err)
	}
	return nil
}

// open returns what a record says, and in which form.
func open(key bridge.RowKey, row Ref, value []byte) (content []byte, version byte, err error) {
	if len(value) == 0 {
		return nil, 0, errors.New("it is empty")
	}
	version, sealed := value[0], value[1:]
	switch {
	case key == nil && version == plainRecord:
		return sealed, version, nil
	case key != nil && (version == sealedRecord || version == packedRecord):
		content, err = key.Open(row.place(), sealed)
	case key != nil && (version == oldSealedRecord || version == oldPackedRecord):
		content, err = key.OpenOld(row.place(), sealed)
	default:
		return nil, 0, fmt.Errorf("version %d is not known", version)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("it was written with another key, or for another row: %w", err)
	}
	return content, version, nil
}
