package secret_test

import (
	"bytes"
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
	if _, err := before.OpenToken("k", "r", before.Seal("k", "r", nil)); !errors.Is(err, secret.ErrOpen) {
		t.Errorf("I12: an empty token opened: %v", err)
	}
}

func TestSealUnder(t *testing.T) {
	t.Parallel()
	predecessor, successor := secret.New("tbr_one"), secret.New("tbr_two")
	sealed, err := secret.SealUnder(predecessor, successor)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := secret.OpenUnder(predecessor, sealed); err != nil || got.Reveal() != "tbr_two" {
		t.Errorf("OpenUnder = %q, %v", got.Reveal(), err)
	}
	if _, err := secret.OpenUnder(secret.New("tbr_other"), sealed); !errors.Is(err, secret.ErrOpen) {
		t.Errorf("OP-10: another token opened it: %v", err)
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
