package secret

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/abilityai/trinity-bridge/bridge/durable"
)

// ParseMaster reads a master secret as text: base64 (either alphabet, padding optional) of at
// least MinMasterBytes, or any other string at least that long. Secrets made of a few repeated
// characters are refused.
func ParseMaster(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, errors.New("the secret is empty")
	}
	if distinct(text) < 10 {
		return nil, errors.New("the secret is too simple: make one with `openssl rand -base64 32`")
	}
	plain := strings.TrimRight(text, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if raw, err := encoding.DecodeString(plain); err == nil && len(raw) >= MinMasterBytes {
			return raw, nil
		}
	}
	if len(text) < MinMasterBytes {
		return nil, fmt.Errorf("the secret needs at least %d characters: make one with `openssl rand -base64 32`", MinMasterBytes)
	}
	return []byte(text), nil
}

// ReadOrMakeMaster reads the secret file at path, or makes one with 256 random bits and mode
// 0600 and reports that it did. A file others may read, or that is another user's, is refused (OP-22).
func ReadOrMakeMaster(path string) (master []byte, made bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeMaster(path)
	case err != nil:
		return nil, false, fmt.Errorf("looking for the secret file: %w", err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, false, fmt.Errorf("others may read the secret file %s: run chmod 600 on it", path)
	case !ours(info):
		return nil, false, fmt.Errorf("the secret file %s belongs to another user, who may exchange it: run chown on it", path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, false, fmt.Errorf("reading the secret file: %w", err)
	}
	master, err = ParseMaster(string(text))
	if err != nil {
		return nil, false, fmt.Errorf("secret file %s: %w", path, err)
	}
	return master, false, nil
}

// ours reports whether a file belongs to who runs this program, or to the system's administrator.
func ours(info fs.FileInfo) bool {
	owned, ok := info.Sys().(*syscall.Stat_t)
	return ok && (owned.Uid == 0 || int(owned.Uid) == os.Geteuid())
}

// makeMaster makes the file beside its name, which it gets when it is whole and on the disk, as that of no other.
func makeMaster(path string) (master []byte, made bool, err error) {
	master = make([]byte, MinMasterBytes)
	_, _ = rand.Read(master)                                                           // never fails
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".making-") // with mode 0600
	if err != nil {
		return nil, false, fmt.Errorf("making the secret file: %w", err)
	}
	_, err = file.WriteString(base64.StdEncoding.EncodeToString(master) + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = durable.Name(file.Name(), path) // before the store has its own, which opens with this secret only
	}
	if err != nil {
		_ = os.Remove(file.Name()) // of no use to anybody
	}
	if errors.Is(err, fs.ErrExist) {
		return ReadOrMakeMaster(path)
	}
	if err != nil {
		return nil, false, fmt.Errorf("writing the secret file: %w", err)
	}
	return master, true, nil
}

func distinct(text string) int {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return len(seen)
}
