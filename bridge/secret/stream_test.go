package secret

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// OP-18: of a sealed stream every bit counts, and so do its end and the order of its frames.
func TestStream_OP18_everyChangeIsNoticed(t *testing.T) {
	t.Parallel()
	ring := testRing(t, 'a')
	plain := bytes.Repeat([]byte("a row of the store, "), 3*frameBytes/20)
	sealed := sealStream(t, ring, "backup", plain)
	if got, err := openStream(ring, "backup", sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("%d bytes came back, %v", len(got), err)
	}
	if bytes.Contains(sealed, []byte("a row of")) {
		t.Error("OP-10: the stream shows what is in it")
	}
	refused := func(name string, ring *Keyring, purpose string, sealed []byte) {
		t.Helper()
		if _, err := openStream(ring, purpose, sealed); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %v, want ErrOpen", name, err)
		}
	}
	refused("another secret", testRing(t, 'b'), "backup", sealed)
	refused("another purpose", ring, "another", sealed)
	for at := 0; at < len(sealed); at += 1 + len(sealed)/997 {
		flipped := bytes.Clone(sealed)
		flipped[at] ^= 0x10
		refused("a flipped bit", ring, "backup", flipped)
		refused("cut off", ring, "backup", sealed[:at])
	}
	refused("one byte cut off", ring, "backup", sealed[:len(sealed)-1])
	refused("one byte added", ring, "backup", append(bytes.Clone(sealed), 0))
	refused("twice", ring, "backup", append(bytes.Clone(sealed), sealed...))

	const frame = 4 + frameBytes + 16
	head := len(streamMagic) + 2 + int(sealed[len(streamMagic)])<<8 + int(sealed[len(streamMagic)+1])
	swapped := bytes.Clone(sealed)
	copy(swapped[head:], sealed[head+frame:head+2*frame])
	copy(swapped[head+frame:], sealed[head:head+frame])
	refused("two frames swapped", ring, "backup", swapped)
	refused("a frame left out", ring, "backup", append(bytes.Clone(sealed[:head]), sealed[head+frame:]...))
	early := bytes.Clone(sealed[:head+frame])
	early[head] |= 0x80
	refused("ended at a frame before the last", ring, "backup", early)
}

func TestStream_sizes(t *testing.T) {
	t.Parallel()
	ring := testRing(t, 'a')
	for _, size := range []int{0, 1, frameBytes - 1, frameBytes, frameBytes + 1, 2 * frameBytes} {
		plain := bytes.Repeat([]byte{7}, size)
		sealed := sealStream(t, ring, "p", plain)
		if got, err := openStream(ring, "p", sealed); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %d came back, %v", size, len(got), err)
		}
		if err := WholeStream(bytes.NewReader(sealed)); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		if err := WholeStream(bytes.NewReader(sealed[:len(sealed)-1])); err == nil {
			t.Errorf("%d bytes: nobody notices that the end is missing", size)
		}
	}
}

func sealStream(t *testing.T, ring *Keyring, purpose string, plain []byte) []byte {
	t.Helper()
	var sealed bytes.Buffer
	w, err := ring.SealStream(&sealed, purpose)
	if err != nil {
		t.Fatal(err)
	}
	for some := plain; len(some) > 0; {
		n := min(len(some), 1000)
		if _, err := w.Write(some[:n]); err != nil {
			t.Fatal(err)
		}
		some = some[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return sealed.Bytes()
}

func openStream(ring *Keyring, purpose string, sealed []byte) ([]byte, error) {
	r, err := ring.OpenStream(bytes.NewReader(sealed), purpose)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
