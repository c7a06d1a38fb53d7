package jsonrpc_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

// swap exchanges what an event carries when it holds the word.
func swap(data []byte) ([]byte, error) {
	if bytes.Contains(data, []byte("swap")) {
		return []byte("{\n1}"), nil
	}
	if bytes.Contains(data, []byte("drop")) {
		return nil, nil
	}
	return data, nil
}

func TestEvents(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, stream, want string }{
		{"others stay as they are", ": c\n\nevent: message\r\ndata:x\r\n\r\ndata\n\nid: 1\ndata: \n\n", ": c\n\nevent: message\r\ndata:x\r\n\r\ndata\n\nid: 1\ndata: \n\n"},
		{"dropped", "data: a\n\nid: 1\ndata: drop\n\ndata: b\n\n", "data: a\n\ndata: b\n\n"},
		{"exchanged", "event: message\nid: 7\ndata: swap\nretry: 1\n\n", "event: message\nid: 7\ndata: {\ndata: 1}\nretry: 1\n\n"},
		{"several data lines", "data: a\ndata: swap\ndata: b\n\n", "data: {\ndata: 1}\n\n"},
		{"CR alone", "data: swap\r\r", "data: {\ndata: 1}\n\n"},
		{"CRLF", "id: 1\r\ndata: swap\r\n\r\n: c\n\n", "id: 1\ndata: {\ndata: 1}\n\n\n: c\n\n"},
		{"a byte order mark hides nothing", "\xef\xbb\xbfdata: swap\n\n", "data: {\ndata: 1}\n\n"},
		{"a field of another name", "datax: swap\n\nData: swap\n\n", "datax: swap\n\nData: swap\n\n"},
		{"no blank behind the colon", "data:swap\n\n", "data: {\ndata: 1}\n\n"},
		{"what is no whole event is dropped", "data: x\n\ndata: swap\n", "data: x\n\n"},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for how, from := range map[string]io.Reader{
				"at once":          strings.NewReader(tt.stream),
				"byte by byte":     iotest.OneByteReader(strings.NewReader(tt.stream)),
				"end with the end": iotest.DataErrReader(strings.NewReader(tt.stream)),
			} {
				got, err := io.ReadAll(&jsonrpc.Events{From: from, Max: 1 << 10, Rewrite: swap})
				if err != nil || lines(string(got)) != lines(tt.want) {
					t.Errorf("%s: %q, %v, want %q", how, got, err, tt.want)
				}
			}
		})
	}
}

// lines leaves out empty events, which say nothing: where line ends of two bytes are cut, one may appear.
func lines(stream string) string {
	for strings.Contains(stream, "\n\n\n") {
		stream = strings.ReplaceAll(stream, "\n\n\n", "\n\n")
	}
	return stream
}

// TestEvents_atOnce: a whole event does not wait for the next one.
func TestEvents_atOnce(t *testing.T) {
	t.Parallel()
	from, to := io.Pipe()
	e := &jsonrpc.Events{From: from, Max: 1 << 10, Rewrite: swap}
	go func() { _, _ = io.WriteString(to, "data: one\n\ndata: tw") }()
	buf := make([]byte, 100)
	if n, err := e.Read(buf); err != nil || string(buf[:n]) != "data: one\n\n" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	_ = to.CloseWithError(io.ErrUnexpectedEOF)
	if n, err := e.Read(buf); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

func TestEvents_RS48_large(t *testing.T) {
	t.Parallel()
	endless := io.MultiReader(strings.NewReader("data: one\n\n"), strings.NewReader("data: "+strings.Repeat("x", 100<<10)))
	got, err := io.ReadAll(&jsonrpc.Events{From: endless, Max: 32 << 10, Rewrite: swap})
	if !errors.Is(err, jsonrpc.ErrLargeEvent) || string(got) != "data: one\n\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestEvents_refused(t *testing.T) {
	t.Parallel()
	no := errors.New("no")
	e := &jsonrpc.Events{From: strings.NewReader("data: a\n\ndata: b\n\n"), Max: 100, Rewrite: func(data []byte) ([]byte, error) {
		if string(data) == "b" {
			return nil, no
		}
		return data, nil
	}}
	if got, err := io.ReadAll(e); !errors.Is(err, no) || string(got) != "data: a\n\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// FuzzEvents: however a stream is cut into reads, the same comes out, and without a change it is the
// stream as far as its events are whole.
func FuzzEvents(f *testing.F) {
	f.Add("data: a\n\n: c\r\n\r\ndata: b\r\rid: 1\n\n", "\n")
	f.Fuzz(func(t *testing.T, stream, _ string) {
		same := func(data []byte) ([]byte, error) { return data, nil }
		whole, err := io.ReadAll(&jsonrpc.Events{From: strings.NewReader(stream), Max: 1 << 20, Rewrite: same})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(strings.TrimPrefix(stream, "\xef\xbb\xbf"), string(whole)) {
			t.Fatalf("%q became %q", stream, whole)
		}
		bytewise, err := io.ReadAll(&jsonrpc.Events{From: iotest.OneByteReader(strings.NewReader(stream)), Max: 1 << 20, Rewrite: same})
		if err != nil || !bytes.Equal(whole, bytewise) {
			t.Fatalf("%q: %q at once, %q byte by byte (%v)", stream, whole, bytewise, err)
		}
	})
}
