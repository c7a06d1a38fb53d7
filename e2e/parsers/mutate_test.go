//go:build e2e

package parsers

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// unescape reads a line of the corpus: \xNN and \\ stand for bytes, {N*TEXT} for repetitions; all else for itself.
func unescape(line string) ([]byte, error) {
	var out []byte
	for i := 0; i < len(line); i++ {
		switch {
		case strings.HasPrefix(line[i:], `\\x`):
			out = append(out, `\x`...)
			i += 2
		case strings.HasPrefix(line[i:], `\x`) && i+4 <= len(line):
			b, err := strconv.ParseUint(line[i+2:i+4], 16, 8)
			if err != nil {
				return nil, err
			}
			out = append(out, byte(b))
			i += 3
		case strings.HasPrefix(line[i:], "{*"):
			end := strings.Index(line[i:], "*}")
			if end < 0 {
				return nil, fmt.Errorf("a repetition without an end")
			}
			count, text, _ := strings.Cut(line[i+2:i+end], " ")
			n, err := strconv.Atoi(count)
			if err != nil {
				return nil, err
			}
			out = append(out, strings.Repeat(text, n)...)
			i += end + 1
		default:
			out = append(out, line[i])
		}
	}
	return out, nil
}

// mutator edits bodies.
type mutator struct {
	*rand.Rand
	seeds, good [][]byte // all, and those that are taken as they are
}

func (m *mutator) bodies(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		of := m.seeds
		if m.IntN(2) == 0 {
			of = m.good
		}
		body := bytes.Clone(of[m.IntN(len(of))])
		for range 1 + m.IntN(3) {
			body = m.edit(body)
		}
		all[i] = body
	}
	return all
}

// words are what parsers differ about.
var words = []string{
	`"method":"tools/call",`, `"Method":"tools/call",`, `"METHOD":"x",`, `"method\u0000":"x",`, `"\u006dethod":"tools/call",`, `"meth\u006Fd":"x",`,
	`"params":{"name":"delete_agent"},`, `"Params":{},`, `"name":"delete_agent",`, `"Name":"x",`, `"\u212Aey":1,`, `"param\u017f":{},`, "\"param\u017f\":{},",
	`"id":1,`, `"id":1e0,`, `"id":1.0,`, `"id":-0,`, `"id":9007199254740993,`, `"id":null,`, `"id":"\ud800",`, `"ID":2,`, `"jsonrpc":"2.0",`, `"jsonrpc":"1.0",`,
	`"__proto__":{"method":"x"},`, `"constructor":1,`, `"toString":1,`, `"result":{},`, `"error":{"code":1,"message":""},`,
	`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},`, `"_meta":{},`, `"uri":"file:///x",`, `"taskId":"t",`, `"arguments":{},`,
	"\xef\xbb\xbf", "\xff", "\xc0\x80", "\xed\xa0\x80", "\x00", "\u2028", "\u00a0", "\u200b", "\t", "\n", "\r\n", "\f", "\v", " ", "/**/", "//x\n", "#",
	`\u0000`, `\ud83d\ude00`, `\ud83d`, `\ude00\ud83d`, `\x41`, `\u{41}`, `\'`, `\/`, `\"`, `\\`, `\b`, `\u0022`, `\u005c`,
	"1e999", "-1e-999", "0x10", "+1", "01", "1.", ".5", "NaN", "Infinity", "-Infinity", "1E5", "123456789012345678901234567890", "true", "null", "undefined",
	"[", "]", "{", "}", ",", ":", `"`, "[]", "{}", `""`, "'x'", "[[[[[[[[", "{\"a\":{\"a\":{\"a\":1}}}", `{"name":1}`, `["2.0"]`,
}

func (m *mutator) edit(body []byte) []byte {
	at := func() int { return m.IntN(len(body) + 1) }
	switch m.IntN(7) {
	case 0, 1: // a word somewhere
		return insert(body, at(), []byte(words[m.IntN(len(words))]))
	case 2: // a word where a member begins
		if starts := indexes(body, '{', ','); len(starts) > 0 {
			return insert(body, starts[m.IntN(len(starts))]+1, []byte(words[m.IntN(len(words))]))
		}
	case 3: // without a piece
		from := at()
		return append(body[:from:from], body[min(from+1+m.IntN(12), len(body)):]...)
	case 4: // another byte
		if len(body) > 0 {
			body[m.IntN(len(body))] = byte(m.IntN(256))
		}
	case 5: // a letter in another case, or escaped
		if len(body) > 0 {
			i := m.IntN(len(body))
			if c := body[i]; c|0x20 >= 'a' && c|0x20 <= 'z' {
				if m.IntN(2) == 0 {
					body[i] ^= 0x20
					return body
				}
				return append(body[:i:i], append(fmt.Appendf(nil, `\u%04x`, c), body[i+1:]...)...)
			}
		}
	case 6: // a piece of another one, or of itself
		from := m.seeds[m.IntN(len(m.seeds))]
		start := m.IntN(len(from) + 1)
		return insert(body, at(), from[start:start+m.IntN(len(from)-start+1)])
	}
	return body
}

func insert(body []byte, at int, text []byte) []byte {
	return append(body[:at:at], append(bytes.Clone(text), body[at:]...)...)
}

func indexes(body []byte, of ...byte) []int {
	var all []int
	for i, c := range body {
		if bytes.IndexByte(of, c) >= 0 {
			all = append(all, i)
		}
	}
	return all
}
