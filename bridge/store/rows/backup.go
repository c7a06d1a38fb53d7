package rows

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	strictjson "github.com/go-json-experiment/json"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	backupPurpose = "backup"
	backupFormat  = 1
	maxPart       = 1 << 20 // of a backup; a record is shorter
)

// BackupHead is the first thing a backup says.
type BackupHead struct {
	Format     int               `json:"format"`
	MadeAt     time.Time         `json:"made_at"`
	Deployment bridge.Deployment `json:"deployment"`
	RowKey     []byte            `json:"row_key"` // under the master secret of then
	Disk       bridge.StoreDisk  `json:"disk"`
}

// backupEnd is the last: how many rows of each kind there are.
type backupEnd struct {
	Rows map[Kind]int `json:"rows"`
}

// Backup writes the rows of one state of the store as they are sealed, in a stream that is sealed again:
// head, rows, end. Each row is its kind, id and record; the end is a row without a kind.
func (s *Store) Backup(ctx context.Context, to io.Writer, now time.Time) error {
	head := BackupHead{Format: backupFormat, MadeAt: now}
	var err error
	if head.RowKey, err = s.WrappedKey(ctx); err != nil {
		return err
	}
	if head.Disk, err = s.engine.Disk(ctx); err != nil {
		return err
	}
	if head.Deployment, err = s.Deployment(ctx); err != nil && !errors.Is(err, bridge.ErrNotFound) {
		return err
	}
	sealed, err := s.sealer.SealStream(to, backupPurpose)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(sealed)
	if err := writeDocument(out, head); err != nil {
		return err
	}
	end := backupEnd{Rows: map[Kind]int{}}
	err = s.engine.Snapshot(ctx, func(t Tx) error {
		return everyRow(ctx, t, func(kind Kind, found []Found) error {
			for _, row := range found {
				if err := writeParts(out, []byte(kind), []byte(row.ID), row.Record); err != nil {
					return err
				}
			}
			end.Rows[kind] += len(found)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("making a backup: %w", err)
	}
	if err := errors.Join(writeParts(out, nil), writeDocument(out, end), out.Flush()); err != nil {
		return fmt.Errorf("writing a backup: %w", err)
	}
	return sealed.Close()
}

// ReadBackup reads a backup whole and hands over its rows, some at a time. Each opens under the key it was
// stored with, at its place. The error wraps the sealer's when anything is not as it was written.
func ReadBackup(from io.Reader, sealer bridge.Sealer, now time.Time, begin func(BackupHead) error, visit func([]Row) error) (Inventory, error) {
	opened, err := sealer.OpenStream(from, backupPurpose)
	if err != nil {
		return Inventory{}, fmt.Errorf("opening the backup: %w", err)
	}
	in := bufio.NewReader(opened)
	var head BackupHead
	if err := readDocument(in, &head); err != nil {
		return Inventory{}, err
	}
	if head.Format != backupFormat {
		return Inventory{}, fmt.Errorf("the backup is of format %d, this version reads %d", head.Format, backupFormat)
	}
	key, err := sealer.OpenRowKey(head.RowKey)
	if err != nil {
		return Inventory{}, fmt.Errorf("opening the backup: %w", err)
	}
	if err := begin(head); err != nil {
		return Inventory{}, err
	}
	held := Inventory{Rows: map[Kind]int{}}
	var some []Row
	for {
		row, err := readRow(in, key, now)
		if err != nil {
			return held, err
		}
		if done := row.Kind == ""; done || len(some) == copyAtOnce {
			if err := visit(some); err != nil {
				return held, err
			}
			if some = nil; done {
				break
			}
		}
		held.Rows[row.Kind]++
		some = append(some, row)
	}
	var end backupEnd
	if err := readDocument(in, &end); err != nil {
		return held, err
	}
	maps.DeleteFunc(end.Rows, func(_ Kind, n int) bool { return n == 0 })
	if !maps.Equal(end.Rows, held.Rows) {
		return held, fmt.Errorf("the backup holds %v rows and says that it holds %v", held.Rows, end.Rows)
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return held, errors.Join(errors.New("the backup does not end where it says"), err)
	}
	return held, nil
}

func readRow(in *bufio.Reader, key bridge.RowKey, now time.Time) (Row, error) {
	kind, err := readPart(in)
	if err != nil || len(kind) == 0 {
		return Row{}, err
	}
	id, err := readPart(in)
	if err != nil {
		return Row{}, err
	}
	record, err := readPart(in)
	if err != nil {
		return Row{}, err
	}
	row, err := Describe(key, Ref{Kind(kind), string(id)}, record, now)
	if err != nil {
		return Row{}, fmt.Errorf("a row of the backup: %w", err)
	}
	return row, nil
}

func writeDocument(out io.Writer, document any) error {
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return writeParts(out, text)
}

func readDocument(in *bufio.Reader, document any) error {
	text, err := readPart(in)
	if err != nil {
		return err
	}
	if err := strictjson.Unmarshal(text, document); err != nil {
		return fmt.Errorf("reading the backup: %w", err)
	}
	return nil
}

// writeParts writes each part behind its length.
func writeParts(out io.Writer, parts ...[]byte) error {
	for _, part := range parts {
		if _, err := out.Write(append(binary.AppendUvarint(nil, uint64(len(part))), part...)); err != nil {
			return err
		}
	}
	return nil
}

func readPart(in *bufio.Reader) ([]byte, error) {
	length, err := binary.ReadUvarint(in)
	if err == nil && length > maxPart {
		err = errors.New("a part of it is too long")
	}
	var part []byte
	if err == nil {
		part = make([]byte, length)
		_, err = io.ReadFull(in, part)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the backup: %w", err)
	}
	return part, nil
}
