package badger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// The watermark is a file outside the store's folder that says how far the store had come. The
// engine opens without a word when its log is damaged, when its list of tables is cut or when the
// whole folder is yesterday's; what is missing then shows only against something kept elsewhere.
//
// It has two slots that are written in turn, one after each batch of writes and before anybody is
// told of it: by then the batch is synced, so that the watermark is never ahead of the store. It is
// not synced with every batch itself but a second later: a process that dies loses nothing of it, and
// after a power cut it may be a second behind.
const (
	slotBytes = 4 << 10 // so that no sector holds parts of both
	slots     = 2

	watermarkMagic  = "TBWM\x00\x00\x00\x01"
	watermarkMAC    = "watermark"
	watermarkSynced = time.Second
)

// position is how far a store has come.
type position struct {
	generation uint64 // moves on when a loss was accepted
	sequence   uint64 // of the last batch of writes
}

func (p position) before(q position) bool {
	return p.generation < q.generation || p.generation == q.generation && p.sequence < q.sequence
}

// mark is what a slot says.
type mark struct {
	position

	tables listing
}

// The parts of a slot.
const (
	generationAt = len(watermarkMagic)
	sequenceAt   = generationAt + 8
	lengthAt     = sequenceAt + 8
	digestAt     = lengthAt + 8
	macAt        = digestAt + len(bridge.Hash{})
	markBytes    = macAt + len(bridge.Hash{})
)

func (m *mark) encode(seal bridge.RowKey) []byte {
	slot := make([]byte, 0, markBytes)
	slot = append(slot, watermarkMagic...)
	slot = binary.BigEndian.AppendUint64(slot, m.generation)
	slot = binary.BigEndian.AppendUint64(slot, m.sequence)
	slot = binary.BigEndian.AppendUint64(slot, uint64(m.tables.length)) //nolint:gosec // the length of a file
	slot = append(slot, m.tables.digest[:]...)
	mac := seal.MAC(watermarkMAC, string(slot))
	return append(slot, mac[:]...)
}

// marks is the content of a watermark file; nil when there is none.
type marks []byte

func readMarks(path string) (marks, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the store's watermark: %w", err)
	}
	if zero(content) { // made, and not written yet
		return nil, nil
	}
	return append(content, make([]byte, max(0, slots*slotBytes-len(content)))...), nil
}

// slot returns what a slot says, and whether it is one: with the key whether it is genuine, without,
// before the store is open, whether it looks like one.
func (m marks) slot(i int, seal bridge.RowKey) (said mark, ok bool) {
	if m == nil {
		return mark{}, false
	}
	content := m[i*slotBytes:][:markBytes]
	if string(content[:generationAt]) != watermarkMagic {
		return mark{}, false
	}
	if seal != nil && seal.MAC(watermarkMAC, string(content[:macAt])) != bridge.Hash(content[macAt:]) {
		return mark{}, false
	}
	said.generation = binary.BigEndian.Uint64(content[generationAt:])
	said.sequence = binary.BigEndian.Uint64(content[sequenceAt:])
	said.tables.length = int64(binary.BigEndian.Uint64(content[lengthAt:])) //nolint:gosec // a wrong length matches nothing
	said.tables.digest = bridge.Hash(content[digestAt:macAt])
	return said, true
}

// newest returns the slot that is furthest.
func (m marks) newest(seal bridge.RowKey) (newest mark, slot int, found bool) {
	for i := range slots {
		said, ok := m.slot(i, seal)
		if ok && (!found || newest.before(said.position)) {
			newest, slot, found = said, i, true
		}
	}
	return newest, slot, found
}

// damaged reports whether a slot that was written once is not genuine.
func (m marks) damaged(seal bridge.RowKey) bool {
	for i := range slots {
		if m == nil {
			return false
		}
		_, ok := m.slot(i, seal)
		if !ok && !zero(m[i*slotBytes:][:slotBytes]) {
			return true
		}
	}
	return false
}

func zero(content []byte) bool { return len(bytes.Trim(content, "\x00")) == 0 }

// watermark writes the file.
type watermark struct {
	file   *os.File
	seal   bridge.RowKey
	tables *follower

	mu     sync.Mutex
	at     position // that it says
	slot   int      // to be written next
	waits  bool     // for being synced
	failed error    // of a sync
	timer  *time.Timer
}

// openWatermark opens the file, or makes it, and brings it up to the store.
func openWatermark(path string, seal bridge.RowKey, tables *follower, before marks, at position) (*watermark, error) {
	_, slot, _ := before.newest(seal)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("opening the store's watermark: %w", err)
	}
	w := &watermark{file: file, seal: seal, tables: tables, slot: (slot + 1) % slots}
	info, err := file.Stat()
	if err == nil && info.Size() < slots*slotBytes { // all the room it will ever take, and what was cut of it
		_, err = file.WriteAt(make([]byte, slots*slotBytes-info.Size()), info.Size())
	}
	if err = errors.Join(err, w.put(at), file.Sync()); err == nil && before == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("writing the store's watermark: %w", errors.Join(err, file.Close()))
	}
	return w, nil
}

// put notes how far the store has come. It is in the file when put returns, and synced within
// watermarkSynced.
func (w *watermark) put(at position) error {
	tables, err := w.tables.follow()
	if err != nil {
		return err
	}
	said := mark{position: at, tables: tables}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return w.failed
	}
	if _, err := w.file.WriteAt(said.encode(w.seal), int64(w.slot)*slotBytes); err != nil {
		return fmt.Errorf("writing the store's watermark: %w", err)
	}
	w.at, w.slot = at, (w.slot+1)%slots
	if !w.waits {
		w.waits = true
		w.timer = time.AfterFunc(watermarkSynced, w.sync)
	}
	return nil
}

func (w *watermark) sync() {
	w.mu.Lock()
	w.waits = false
	w.mu.Unlock()
	if err := w.file.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
		w.mu.Lock()
		w.failed = fmt.Errorf("syncing the store's watermark: %w", err)
		w.mu.Unlock()
	}
}

// close writes the watermark a last time, when the engine has closed its tables. How far the store has come is as it
// was: a batch that failed may not be stored, and nobody was told that it is.
func (w *watermark) close() error {
	err := w.put(w.at)
	w.mu.Lock()
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	return errors.Join(err, w.file.Sync(), w.file.Close(), w.tables.close())
}

// syncFolder returns when the names in a folder are on the disk.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // of a file the operator names
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// read reads length bytes of a file from an offset on.
func readFrom(path string, offset, length int64) (content []byte, err error) {
	file, err := os.Open(path) //nolint:gosec // in the store's folder
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	content = make([]byte, length)
	_, err = io.ReadFull(io.NewSectionReader(file, offset, length), content)
	return content, err
}
