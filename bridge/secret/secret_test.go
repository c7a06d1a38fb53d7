package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const canary = "trinity_mcp_canary-canary-canary-canary-canary-canary-0"

// OP-30: a token cannot be printed by accident.
func TestToken_OP30_neverPrints(t *testing.T) {
	t.Parallel()
	token := secret.New(canary)
	holder := struct{ Key secret.Token }{token}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		_, _ = fmt.Fprintf(&out, verb+verb+verb, token, &token, holder)
	}
	text, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "token", token, "pointer", &token, "holder", holder, "error", fmt.Errorf("with %v", token))
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "token", token, "holder", holder)
	if strings.Contains(out.String(), "canary") || strings.Contains(out.String(), fmt.Sprintf("%x", "canary")) {
		t.Errorf("the token was printed: %s", out.String())
	}
	if token.Reveal() != canary {
		t.Error("Reveal does not give the value back")
	}
}

func TestToken_Hash_zero(t *testing.T) {
	t.Parallel()
	if got := secret.New("").Hash(); !got.IsZero() {
		t.Errorf("I12: the hash of nothing is %s, want the zero hash", got)
	}
	if got := secret.New("x").Hash(); got != bridge.HashOf("x") {
		t.Errorf("Hash = %s", got)
	}
}

func ring(t *testing.T, masters ...string) *secret.Keyring {
	t.Helper()
	var raw [][]byte
	for _, master := range masters {
		raw = append(raw, []byte(master))
	}
	k, err := secret.NewKeyring(raw...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const (
	oldMaster = "the-old-master-secret-of-32-bytes-or-more"
	newMaster = "the-new-master-secret-of-32-bytes-or-more"
)

func TestKeyring_Open(t *testing.T) {
	t.Parallel()
	before, after, other := ring(t, oldMaster), ring(t, newMaster, oldMaster), ring(t, newMaster)
	sealed := before.Seal("grant key", "g1", []byte(canary))
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	tests := []struct {
		id, kind, row string
		ring          *secret.Keyring
		sealed        []byte
		good          bool
	}{
		{"same row", "grant key", "g1", before, sealed, true},
		{"while the secret is replaced", "grant key", "g1", after, sealed, true},
		{"by a replica that seals under the secret before", "grant key", "g1", ring(t, oldMaster, newMaster), after.Seal("grant key", "g1", []byte(canary)), true},
		{"OP-11/another row", "grant key", "g2", before, sealed, false},
		{"OP-11/another kind", "signing key", "g1", before, sealed, false},
		{"OP-13/another secret", "grant key", "g1", other, sealed, false},
		{"flipped bit", "grant key", "g1", before, flipped, false},
		{"cut", "grant key", "g1", before, sealed[:10], false},
		{"I12/nothing", "grant key", "g1", before, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			got, err := tt.ring.Open(tt.kind, tt.row, tt.sealed)
			if tt.good && (err != nil || string(got) != canary) {
				t.Errorf("Open = %q, %v", got, err)
			}
			if !tt.good && !errors.Is(err, secret.ErrOpen) {
				t.Errorf("Open = %q, %v, want ErrOpen", got, err)
			}
		})
	}
	if bytes.Contains(sealed, []byte("canary")) {
		t.Error("OP-10: the sealed form shows the value")
	}
	if again := before.Seal("grant key", "g1", []byte(canary)); !bytes.Equal(sealed, again) || len(sealed) != 1+4+16+len(canary) {
		t.Errorf("%d bytes sealed, the same when sealed again: %t", len(sealed), bytes.Equal(sealed, again))
	}
	if _, err := before.OpenToken("k", "r", before.Seal("k", "r", nil)); !errors.Is(err, secret.ErrOpen) {
		t.Errorf("I12: an empty token opened: %v", err)
	}
}

// What leaves the program is never the same twice, and each bit of it counts, as of any sealed value.
func TestKeyring_SealFresh_OP11(t *testing.T) {
	t.Parallel()
	k := ring(t, oldMaster)
	seals := map[string]func(string, string, []byte) []byte{"Seal": k.Seal, "SealFresh": k.SealFresh}
	if bytes.Equal(k.SealFresh("session", "alice", nil), k.SealFresh("session", "alice", nil)) {
		t.Error("the same twice")
	}
	for name, seal := range seals {
		for _, plain := range []string{"", "a session"} {
			sealed := seal("session", "alice", []byte(plain))
			if got, err := k.Open("session", "alice", sealed); err != nil || string(got) != plain {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			if _, err := k.Open("session", "bob", sealed); !errors.Is(err, secret.ErrOpen) {
				t.Errorf("%s: another row: %v", name, err)
			}
			for at := range sealed {
				for first := range 256 {
					changed := bytes.Clone(sealed)
					changed[at] = byte(first)
					if _, err := k.Open("session", "alice", changed); !errors.Is(err, secret.ErrOpen) && changed[at] != sealed[at] {
						t.Errorf("%s: opens with %d as byte %d: %v", name, first, at, err)
					}
				}
				if _, err := k.Open("session", "alice", sealed[:at]); !errors.Is(err, secret.ErrOpen) {
					t.Errorf("%s: opens with %d bytes: %v", name, at, err)
				}
			}
		}
	}
}

// TestKeyring_old: what programs of before sealed, with AES-256-GCM, is read, and sealed anew as what it is.
func TestKeyring_old(t *testing.T) {
	t.Parallel()
	const master = "a master secret for tests, 0123456789"
	k, after := ring(t, master), ring(t, newMaster, master)
	for _, tt := range []struct{ name, sealed, want string }{
		{"a value", "AT9N9anFf+GrqnoX01BTWzXA1JJK9DG+SsZfY7Jq+RJm9u3p5LzYaw==", "a value"},
		{"a Trinity key", "AT9N9amzdBwcu/WZb28xYjJi60u2SqAR3T0xgpFvItVLdpF4iIjGlAaIGyu3irEF5aGwb+Ct1/YUmZWKu08FRhvu", usualKey},
		{"a text as long as a key's random bytes", "AT9N9am45fMUajreQ94VERteoNcnEQ33LZxX3OlCfFht1+AxPug5S/lNoW5mHzzUjalyhTzc8pCYb7agxpBGRQo=", strings.Repeat("x", 32)},
	} {
		sealed, err := base64.StdEncoding.DecodeString(tt.sealed)
		if err != nil {
			t.Fatal(err)
		}
		anew, err := after.Reseal("grant key", "g1", sealed)
		if err != nil || !k.Current(sealed) || after.Current(sealed) || !after.Current(anew) {
			t.Errorf("%s is taken for sealed under another secret, or not sealed anew: %v", tt.name, err)
		}
		for how, value := range map[string][]byte{"as it was": sealed, "sealed anew": anew} {
			if got, err := after.OpenToken("grant key", "g1", value); err != nil || got.Reveal() != tt.want {
				t.Errorf("%s, %s: %q, %v", tt.name, how, got.Reveal(), err)
			}
			if _, err := after.OpenToken("grant key", "g2", value); !errors.Is(err, secret.ErrOpen) {
				t.Errorf("OP-11: %s, %s, opens for another row: %v", tt.name, how, err)
			}
			for first := range 256 {
				changed := append([]byte{byte(first)}, value[1:]...)
				if _, err := after.Open("grant key", "g1", changed); err == nil && changed[0] != value[0] {
					t.Errorf("%s, %s, is taken for version %d", tt.name, how, first)
				}
			}
		}
	}
}

func TestParseMaster(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id, text string
		bytes    int // 0: refused
	}{
		{"base64", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=", 32},
		{"base64url", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJ-_", 33},
		{"plain words", "correct horse battery staple and more", 37},
		{"OP-34/empty", "", 0},
		{"OP-34/short", "only-nineteen-chars", 0},
		{"OP-34/one character", strings.Repeat("x", 64), 0},
		{"OP-34/example", "changemechangemechangemechangeme", 0},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			got, err := secret.ParseMaster(tt.text)
			if (err == nil) != (tt.bytes > 0) || len(got) != tt.bytes {
				t.Errorf("ParseMaster = %d bytes, %v, want %d", len(got), err, tt.bytes)
			}
		})
	}
}

func TestReadOrMakeMaster_OP22(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	first, made, err := secret.ReadOrMakeMaster(path)
	if err != nil || !made || len(first) != 32 {
		t.Fatalf("first = %d bytes, made %v, %v", len(first), made, err)
	}
	again, made, err := secret.ReadOrMakeMaster(path)
	if err != nil || made || !bytes.Equal(first, again) {
		t.Fatalf("again differs, made %v, %v", made, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := secret.ReadOrMakeMaster(path); err == nil {
		t.Error("OP-22: a secret that others may read was taken")
	}
}

// TestReadOrMakeMaster_OP22_otherOwner: who owns the secret's file may exchange it.
func TestReadOrMakeMaster_OP22_otherOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
	path := filepath.Join(t.TempDir(), "secret")
	if _, _, err := secret.ReadOrMakeMaster(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 65534, -1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := secret.ReadOrMakeMaster(path); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("OP-22: a secret of another user was taken: %v", err)
	}
}

// TestReadOrMakeMaster_OP23_atOnce: the file has its name when it is whole, so that nobody reads a part of it, and what dies
// while making it leaves none.
func TestReadOrMakeMaster_OP23_atOnce(t *testing.T) {
	t.Parallel()
	for range 50 {
		path := filepath.Join(t.TempDir(), "secret")
		var makers atomic.Int32
		var masters [8][]byte
		var running sync.WaitGroup
		begin := make(chan struct{})
		for i := range masters {
			running.Go(func() {
				<-begin
				master, made, err := secret.ReadOrMakeMaster(path)
				if err != nil {
					t.Error(err)
				}
				if made {
					makers.Add(1)
				}
				masters[i] = master
			})
		}
		close(begin)
		running.Wait()
		for _, master := range masters {
			if !bytes.Equal(master, masters[0]) {
				t.Fatal("two have made a secret each")
			}
		}
		left, err := os.ReadDir(filepath.Dir(path))
		if err != nil || makers.Load() != 1 || len(left) != 1 {
			t.Fatalf("%d have made it, %d files, %v", makers.Load(), len(left), err)
		}
	}
}
