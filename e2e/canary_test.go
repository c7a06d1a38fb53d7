//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
)

// emailCode is the one kind of secret that Trinity itself must see.
const emailCode = "e-mail code"

// canaries are the secrets that went over the wire in one test, by value, with what each of them is.
type canaries map[string]string

// add remembers a secret. An empty one would be found everywhere, so it is a mistake of the caller.
func (c canaries) add(t *testing.T, kind, value string) {
	t.Helper()
	if value == "" {
		t.Fatalf("there is no %s to look for", kind)
	}
	c[value] = kind
}

// staticKey is what every Trinity key looks like, whether or not a test knows it.
var staticKey = regexp.MustCompile(`trinity_mcp_[A-Za-z0-9_-]{20,}`)

// wantAbsent fails the test for every secret found in text, naming its kind and where it was, not its value.
func (c canaries) wantAbsent(t *testing.T, where string, text []byte) {
	t.Helper()
	for _, kind := range c.foundIn(text) {
		t.Errorf("%s holds the %s", where, kind)
	}
	if staticKey.Match(text) {
		t.Errorf("%s holds a Trinity key", where)
	}
}

// foundIn names the kinds of the secrets in text.
func (c canaries) foundIn(text []byte) []string {
	var kinds []string
	for value, kind := range c {
		// A short code is part of many longer numbers; a token is itself wherever it stands, in binary files too.
		found := bytes.Contains(text, []byte(value))
		if len(value) < 16 {
			found = containsWhole(text, []byte(value))
		}
		if found {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// wantAbsentInFolder reads every file under dir.
func (c canaries) wantAbsentInFolder(t *testing.T, what, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		c.wantAbsent(t, what+" file "+entry.Name(), text)
		return nil
	})
	if err != nil {
		t.Errorf("reading the %s: %v", what, err)
	}
	if files == 0 {
		t.Errorf("the %s is empty: nothing was looked at", what)
	}
}

// wantAbsentInDatabase reads every field of every table.
func (c canaries) wantAbsentInDatabase(t *testing.T, at string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, _ := conn.Query(t.Context(), "select tablename from pg_tables where schemaname = 'public'") // CollectRows tells the error
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	fields := 0
	for _, table := range tables {
		rows, _ := conn.Query(t.Context(), "select * from "+pgx.Identifier{table}.Sanitize()) // Err tells it
		for rows.Next() {
			for _, field := range rows.RawValues() {
				fields++
				c.wantAbsent(t, "table "+table, field)
			}
		}
		if err := rows.Err(); err != nil {
			t.Errorf("reading table %s: %v", table, err)
		}
	}
	if fields == 0 {
		t.Error("the database is empty: nothing was looked at")
	}
}

// containsWhole finds value where no digit or letter continues it, so that a six-digit code is not found inside a
// longer number.
func containsWhole(text, value []byte) bool {
	for from := 0; ; {
		i := bytes.Index(text[from:], value)
		if i < 0 {
			return false
		}
		begin, end := from+i, from+i+len(value)
		if (begin == 0 || !alphanumeric(text[begin-1])) && (end == len(text) || !alphanumeric(text[end])) {
			return true
		}
		from = begin + 1
	}
}

func alphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

func TestCanaries_areFoundWhereTheyAre(t *testing.T) {
	c := canaries{}
	c.add(t, emailCode, "123456")
	c.add(t, "access token", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln")
	tests := []struct {
		text string
		want []string
	}{
		{"code=123456&x", []string{"e-mail code"}},
		{"2026-01-02T03:04:05.0123456Z", nil},
		{"\x1deyJhbGciOiJFUzI1NiJ9.e30.c2lnA", []string{"access token"}},
		{"eyJhbGciOiJFUzI1NiJ9 and 123456", []string{"e-mail code"}},
		{"", nil},
	}
	for _, tt := range tests {
		if got := c.foundIn([]byte(tt.text)); !slices.Equal(got, tt.want) {
			t.Errorf("%q: found %v, want %v", tt.text, got, tt.want)
		}
	}
}
