//go:build e2e

package parsers

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// node is a Node process that reads bodies as FastMCP does.
type node struct {
	in  io.Writer
	out *bufio.Reader
}

func startNode(t *testing.T) *node {
	t.Helper()
	path := programtest.MustInstalled(t, "../node/node_modules/node-*/bin/node")
	cmd := exec.CommandContext(t.Context(), path, "../node/parse.mjs")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // whatever it says, it has been asked all
	})
	return &node{in, bufio.NewReaderSize(out, 1<<20)}
}

// seen is one message as a server sees it; nil is no string, or nothing.
type seen struct {
	Method, ID, Name, URI, TaskID, Version, LogLevel *string
	Result, Error                                    bool
}

// reading is what the upstream makes of a body.
type reading struct {
	Batch    bool
	Messages []seen
	Schema   []*string
}

// read gives what Node makes of bodies; nil of one it refuses.
func (n *node) read(t *testing.T, bodies [][]byte) []*reading {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		var all []byte
		for _, body := range bodies {
			all = append(binary.BigEndian.AppendUint32(all, uint32(len(body))), body...)
		}
		_, err := n.in.Write(all)
		written <- err
	}()
	readings := make([]*reading, len(bodies))
	for i := range bodies {
		line, err := n.out.ReadBytes('\n')
		if err != nil {
			t.Fatalf("Node ended at %q: %v", bodies[i], err)
		}
		if err := json.Unmarshal(line, &readings[i]); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	return readings
}

// compare wants the upstream to read what the gateway takes as the same calls. It reports whether the gateway took it.
func compare(t *testing.T, body []byte, upstream *reading) bool {
	t.Helper()
	ours, err := new(jsonrpc.Reader).Read(body)
	if err != nil {
		if jsonrpc.AsError(err) == nil {
			t.Errorf("%q: %v is no refusal", body, err)
		}
		return false
	}
	if upstream == nil {
		t.Errorf("taken here, refused by Node: %q", body)
		return true
	}
	if ours.Batch != upstream.Batch || len(ours.Messages) != len(upstream.Messages) {
		t.Errorf("%q: %d messages here, %d there", body, len(ours.Messages), len(upstream.Messages))
		return true
	}
	for i, m := range ours.Messages {
		if id := upstream.Messages[i].ID; id != nil {
			*id = plain(t, *id)
		}
		if diff := cmp.Diff(expected(t, m, upstream.Messages[i]), upstream.Messages[i]); diff != "" {
			t.Errorf("%q is read differently (-here +Node):\n%s", body, diff)
		}
		kind := map[jsonrpc.Kind]string{jsonrpc.Request: "request", jsonrpc.Notification: "notification", jsonrpc.Response: "response"}[m.Kind]
		if schema := upstream.Schema[i]; schema != nil && *schema != kind {
			t.Errorf("%q: a %s here, a %s for FastMCP", body, kind, *schema)
		}
	}
	return true
}

// expected is what Node must see where the gateway saw m. What is "" here must not be a word there.
func expected(t *testing.T, m jsonrpc.Message, there seen) seen {
	t.Helper()
	word := func(text string, there *string) *string {
		if text == "" && there == nil {
			return nil
		}
		return &text
	}
	return seen{
		Method: word(m.Method, there.Method), ID: word(plain(t, string(m.ID)), there.ID), Name: word(m.Name, there.Name), URI: word(m.URI, there.URI),
		TaskID: word(m.TaskID, there.TaskID), Version: word(m.Version, there.Version), LogLevel: word(m.LogLevel, there.LogLevel),
		Result: there.Result && m.Kind == jsonrpc.Response, Error: there.Error && m.Kind == jsonrpc.Response,
	}
}

// plain is an id without its escapes: a string behind a quote, or a number as it stands.
func plain(t *testing.T, id string) string {
	t.Helper()
	if !strings.HasPrefix(id, `"`) {
		return id
	}
	var text string
	if err := json.Unmarshal([]byte(id), &text); err != nil {
		t.Errorf("the id %q: %v", id, err)
	}
	return `"` + text
}

// A seed is a body of the corpus, of a kind that parsers may differ about.
type seed struct {
	kind  string
	taken bool // by the gateway
	body  []byte
}

// corpus reads testdata/corpus.txt: a line "# taken: KIND" or "# refused: KIND" says of what kind the bodies below it are.
func corpus(t *testing.T) []seed {
	t.Helper()
	text, err := os.ReadFile("testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []seed
	var of seed
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if heading, ok := strings.CutPrefix(line, "# "); ok {
			verdict, kind, _ := strings.Cut(heading, ": ")
			of = seed{kind: kind, taken: verdict == "taken"}
			continue
		}
		if of.body, err = unescape(line); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, of)
	}
	return all
}

// TestReader_RS34_seeds: each kind of body that parsers differ about is judged as the corpus says, and read alike where
// it is taken.
func TestReader_RS34_seeds(t *testing.T) {
	t.Parallel()
	seeds := corpus(t)
	var bodies [][]byte
	for _, s := range seeds {
		bodies = append(bodies, s.body)
	}
	kinds := map[string]bool{}
	for i, upstream := range startNode(t).read(t, bodies) {
		kinds[seeds[i].kind] = true
		if taken := compare(t, bodies[i], upstream); taken != seeds[i].taken {
			t.Errorf("%s: taken %v: %.200q", seeds[i].kind, taken, bodies[i])
		}
	}
	for _, kind := range []string{"duplicate keys", "keys in another case", "NUL", "too deep", "big and odd numbers as ids", "invalid UTF-8"} {
		if !kinds[kind] {
			t.Errorf("the corpus has no %s", kind)
		}
	}
}

// TestReader_RS34: of the corpus and 30,000 edits of it, none is taken here and read differently by Node or FastMCP.
func TestReader_RS34_fixedCorpus(t *testing.T) {
	t.Parallel()
	differential(t, rand.New(rand.NewPCG(1, 2)), func(done int) bool { return done >= 30_000 })
}

// TestReader_long is the same for as long as DIFFERENTIAL says, with other edits each time.
func TestReader_long(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("DIFFERENTIAL"))
	if err != nil {
		t.Skip("DIFFERENTIAL gives no time")
	}
	seed := uint64(time.Now().UnixNano())
	end := time.Now().Add(d)
	t.Logf("seed %d", seed)
	differential(t, rand.New(rand.NewPCG(seed, 0)), func(int) bool { return time.Now().After(end) })
}

func differential(t *testing.T, random *rand.Rand, enough func(done int) bool) {
	t.Helper()
	n := startNode(t)
	m := &mutator{Rand: random}
	for _, s := range corpus(t) {
		m.seeds = append(m.seeds, s.body)
		if s.taken {
			m.good = append(m.good, s.body)
		}
	}
	done, taken := 0, 0
	for next := m.seeds; ; next = m.bodies(1000) {
		for i, upstream := range n.read(t, next) {
			if compare(t, next[i], upstream) {
				taken++
			}
		}
		done += len(next)
		if t.Failed() || enough(done) {
			break
		}
	}
	fmt.Printf("%d bodies, of which the gateway took %d\n", done, taken)
	if taken < done/50 {
		t.Error("too few were taken to show anything")
	}
}
