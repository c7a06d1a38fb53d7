package secret

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A sealed stream is a head and frames. The head has the stream's own random key, wrapped under the
// master secret; each frame is sealed for the head, its place among the frames, and whether it is the
// last one. So nothing of it can be read, changed, cut off, moved or added without being noticed.
const (
	streamMagic = "TBSTREAM\x00\x00\x00\x01"
	streamKind  = "stream key"
	frameBytes  = 64 << 10
	frameLast   = 1 << 31 // of the number that says how long a frame is
	maxWrapped  = 1 << 10
)

// SealStream returns what seals everything that is written to it, for one purpose, and writes it to to.
// Only what was closed is whole.
func (k *Keyring) SealStream(to io.Writer, purpose string) (io.WriteCloser, error) {
	raw := make([]byte, rowKeyBytes)
	_, _ = rand.Read(raw) // never fails
	wrapped := k.Seal(streamKind, purpose, raw)
	head := binary.BigEndian.AppendUint16([]byte(streamMagic), uint16(len(wrapped))) //nolint:gosec // of a key
	head = append(head, wrapped...)
	frames, err := newFrames(raw, head)
	if err != nil {
		return nil, err
	}
	if _, err := to.Write(head); err != nil {
		return nil, err
	}
	return &streamWriter{frames: frames, to: to}, nil
}

// OpenStream returns what SealStream was given for the same purpose. What it returns is genuine; it is
// whole only when reading has come to io.EOF. Anything else is ErrOpen.
func (k *Keyring) OpenStream(from io.Reader, purpose string) (io.Reader, error) {
	head := make([]byte, len(streamMagic)+2)
	if _, err := io.ReadFull(from, head); err != nil || string(head[:len(streamMagic)]) != streamMagic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrOpen)
	}
	length := binary.BigEndian.Uint16(head[len(streamMagic):])
	if length > maxWrapped {
		return nil, ErrOpen
	}
	wrapped := make([]byte, length)
	if _, err := io.ReadFull(from, wrapped); err != nil {
		return nil, fmt.Errorf("%w: it is cut off", ErrOpen)
	}
	raw, err := k.Open(streamKind, purpose, wrapped)
	if err != nil {
		return nil, err
	}
	frames, err := newFrames(raw, append(head, wrapped...))
	if err != nil {
		return nil, err
	}
	return &streamReader{frames: frames, from: from}, nil
}

// frames seals and opens the frames of one stream in their order.
type frames struct {
	aead cipher.AEAD
	head []byte
	next uint64
}

func newFrames(raw, head []byte) (frames, error) {
	key, err := newXAES(raw)
	if err != nil {
		return frames{}, err
	}
	// The key is this stream's alone, so that its frames can be counted instead of drawing nonces.
	return frames{aead: key.aead(make([]byte, xaesNonce)), head: head}, nil
}

// nonce is a frame's place and whether it is the last.
func (f *frames) nonce(last bool) []byte {
	nonce := make([]byte, f.aead.NonceSize())
	binary.BigEndian.PutUint64(nonce, f.next)
	if last {
		nonce[len(nonce)-1] = 1
	}
	f.next++
	return nonce
}

type streamWriter struct {
	frames

	to    io.Writer
	plain []byte
}

// Write keeps a frame's worth aside, since nobody knows yet whether it is the last.
func (s *streamWriter) Write(p []byte) (int, error) {
	s.plain = append(s.plain, p...)
	for len(s.plain) > frameBytes {
		if err := s.frame(s.plain[:frameBytes], false); err != nil {
			return 0, err
		}
		s.plain = append(s.plain[:0], s.plain[frameBytes:]...)
	}
	return len(p), nil
}

// Close writes the last frame.
func (s *streamWriter) Close() error { return s.frame(s.plain, true) }

func (s *streamWriter) frame(plain []byte, last bool) error {
	length := uint32(len(plain) + s.aead.Overhead()) //nolint:gosec // of a frame
	if last {
		length |= frameLast
	}
	sealed := s.aead.Seal(binary.BigEndian.AppendUint32(nil, length), s.nonce(last), plain, s.head)
	_, err := s.to.Write(sealed)
	return err
}

type streamReader struct {
	frames

	from io.Reader
	rest bytes.Reader
	end  error
}

// Read returns parts of frames that were opened.
func (s *streamReader) Read(p []byte) (int, error) {
	for s.rest.Len() == 0 {
		if s.end != nil {
			return 0, s.end
		}
		plain, last, err := s.open()
		switch {
		case err != nil:
			s.end = err
		case last:
			s.end = s.nothingMore()
		}
		s.rest.Reset(plain)
	}
	return s.rest.Read(p)
}

func (s *streamReader) open() (plain []byte, last bool, err error) {
	var number [4]byte
	if _, err := io.ReadFull(s.from, number[:]); err != nil {
		return nil, false, fmt.Errorf("%w: it is cut off", ErrOpen)
	}
	length := binary.BigEndian.Uint32(number[:])
	last = length&frameLast != 0
	length &^= frameLast
	if length > frameBytes+uint32(s.aead.Overhead()) { //nolint:gosec // a few bytes
		return nil, false, ErrOpen
	}
	sealed := make([]byte, length)
	if _, err := io.ReadFull(s.from, sealed); err != nil {
		return nil, false, fmt.Errorf("%w: it is cut off", ErrOpen)
	}
	plain, err = s.aead.Open(nil, s.nonce(last), sealed, s.head)
	if err != nil {
		return nil, false, fmt.Errorf("%w: it is damaged, or put together from several", ErrOpen)
	}
	return plain, last, nil
}

// nothingMore wants the end where the last frame says it is.
func (s *streamReader) nothingMore() error {
	if _, err := io.ReadFull(s.from, make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something was added to it", ErrOpen)
	}
	return io.EOF
}

// WholeStream reports whether a sealed stream comes to its end, by what anybody can see of it, without
// the secret: for who carries one.
func WholeStream(from io.Reader) error {
	head := make([]byte, len(streamMagic)+2)
	if _, err := io.ReadFull(from, head); err != nil || string(head[:len(streamMagic)]) != streamMagic {
		return errors.New("it does not begin as a sealed stream")
	}
	if _, err := io.CopyN(io.Discard, from, int64(binary.BigEndian.Uint16(head[len(streamMagic):]))); err != nil {
		return errors.New("it is cut off")
	}
	for {
		var number [4]byte
		if _, err := io.ReadFull(from, number[:]); err != nil {
			return errors.New("it is cut off")
		}
		length := binary.BigEndian.Uint32(number[:])
		if _, err := io.CopyN(io.Discard, from, int64(length&^frameLast)); err != nil {
			return errors.New("it is cut off")
		}
		if length&frameLast != 0 {
			return nil
		}
	}
}
