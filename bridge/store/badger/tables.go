package badger

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	engine "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/options"
	enginetable "github.com/dgraph-io/badger/v4/table"
	"github.com/klauspost/compress/zstd"
)

// maxBlockBytes is the most a block of a table holds: rows that are longer than it should be have one of their own.
const maxBlockBytes = 1 << 20

// checkList checks the tables the engine knows of.
func checkList(dir string) error {
	tables, _, err := replayList(filepath.Join(dir, engine.ManifestFilename))
	if err != nil {
		return nil //nolint:nilerr // the engine will say so
	}
	_, err = checkTables(dir, tables)
	return err
}

// checkTables reads every block of tables that the engine knows of. Later a damaged block would look
// like missing rows; and the engine itself cannot be let near a damaged table, since it dies of one as it
// opens the folder. Tables it does not know of are what a crash left, and it removes them. The newest version in
// each table is returned.
//
// A table is blocks, an index of them, and at the end of each its checksum; a checksum is followed by
// its length. Blocks are compressed with their checksum.
func checkTables(dir string, tables map[uint64]engine.TableManifest) (newest map[uint64]uint64, err error) {
	zstdBlocks, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlockBytes))
	if err != nil {
		return nil, fmt.Errorf("reading compressed tables: %w", err)
	}
	defer zstdBlocks.Close()
	newest = map[uint64]uint64{}
	for id, table := range tables {
		name := enginetable.IDToFilename(id)
		plain := func(_, block []byte) ([]byte, error) { return block, nil }
		if table.Compression == options.ZSTD {
			plain = func(into, block []byte) ([]byte, error) { return zstdBlocks.DecodeAll(block, into) }
		}
		if newest[id], err = checkTable(filepath.Join(dir, name), plain); err != nil {
			return nil, fmt.Errorf("the store in %s is damaged in its table file %s: %w; put a copy back, docs/storage.md says how", dir, name, err)
		}
	}
	return newest, nil
}

// checkTable checks a table whose blocks are as decompress appends them to what it is given.
func checkTable(path string, decompress func(to, block []byte) ([]byte, error)) (newest uint64, err error) {
	file, err := os.Open(path) //nolint:gosec // in the store's folder
	if err != nil {
		return 0, err
	}
	defer func() {
		if p := recover(); p != nil { // an index that is whole and says nonsense
			err = fmt.Errorf("reading its index: %v", p)
		}
		err = errors.Join(err, file.Close())
	}()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	content, end, err := lastPart(file, info.Size())
	if err != nil {
		return 0, err
	}
	index := fb.GetRootAsTableIndex(content, 0)
	blocks := bufio.NewReaderSize(io.NewSectionReader(file, 0, end), 256<<10)
	var block, plain []byte
	next := int64(0)
	for i := range index.OffsetsLength() {
		var at fb.BlockOffset
		if !index.Offsets(&at, i) || int64(at.Offset()) != next || next+int64(at.Len()) > end {
			return 0, errBlocks
		}
		next += int64(at.Len())
		block = append(block[:0], make([]byte, at.Len())...)
		if _, err := io.ReadFull(blocks, block); err != nil {
			return 0, err
		}
		if plain, err = decompress(plain[:0], block); err == nil {
			err = checkBlock(plain)
		}
		if err != nil {
			return 0, fmt.Errorf("block %d: %w", i, err)
		}
	}
	if next != end {
		return 0, errBlocks
	}
	return index.MaxVersion(), nil
}

var (
	errBlocks   = errors.New("its blocks and its index do not fit together")
	errChecksum = errors.New("its checksum is not right")
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

// lastPart returns the index of a table and where the blocks before it end.
func lastPart(file io.ReaderAt, size int64) (index []byte, end int64, err error) {
	sum, end, err := lengthAndPart(file, size)
	if err != nil {
		return nil, 0, err
	}
	index, end, err = lengthAndPart(file, end)
	if err != nil {
		return nil, 0, err
	}
	return index, end, compareChecksum(index, sum)
}

// lengthAndPart returns the part of a file that ends before end, where its length stands.
func lengthAndPart(file io.ReaderAt, end int64) (part []byte, start int64, err error) {
	var length [4]byte
	if end < int64(len(length)) {
		return nil, 0, errChecksum
	}
	end -= int64(len(length))
	if _, err := file.ReadAt(length[:], end); err != nil {
		return nil, 0, err
	}
	size := int64(binary.BigEndian.Uint32(length[:]))
	if size > end {
		return nil, 0, errChecksum
	}
	part = make([]byte, size)
	_, err = file.ReadAt(part, end-size)
	return part, end - size, err
}

func checkBlock(block []byte) error {
	if len(block) < 4 {
		return errChecksum
	}
	body, length := block[:len(block)-4], binary.BigEndian.Uint32(block[len(block)-4:])
	if int64(length) > int64(len(body)) {
		return errChecksum
	}
	body, sum := body[:len(body)-int(length)], body[len(body)-int(length):]
	return compareChecksum(body, sum)
}

// compareChecksum compares a checksum as the engine writes it: a message whose field 2 is the sum.
func compareChecksum(content, sum []byte) error {
	const sumField = 2 << 3
	if len(sum) == 0 {
		sum = []byte{sumField, 0} // a field that is zero is left out
	}
	if sum[0] != sumField {
		return errChecksum
	}
	said, n := binary.Uvarint(sum[1:])
	if n != len(sum)-1 || said != uint64(crc32.Checksum(content, castagnoli)) {
		return errChecksum
	}
	return nil
}
