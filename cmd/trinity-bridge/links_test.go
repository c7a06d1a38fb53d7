package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge/app"
)

// A file of links as spreadsheets and people write them, and what is wrong with others: all of it at once, and never with
// a key.
func TestReadImport(t *testing.T) {
	t.Parallel()
	const key, other = "trinity_mcp_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "trinity_mcp_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg"
	good := []app.LinkRow{
		{Line: 2, Source: "company", Subject: "00u1", Username: "alice@example.com", Key: key},
		{Line: 3, Source: "company", Subject: "a, \"b\"", Username: "bob@example.com", Key: other},
	}
	const head = "source,subject,username,key\n"
	first, second := "company,00u1,alice@example.com,"+key+"\n", "company,\"a, \"\"b\"\"\",bob@example.com,"+other+"\n"
	tests := []struct {
		name, text string
		wants      []string // what is told; none when the file is good
	}{
		{"plain", head + first + second, nil},
		{"with the mark of UTF-8", "\ufeff" + head + first + second, nil},
		{"with line ends of Windows", strings.ReplaceAll(head+first+second, "\n", "\r\n"), nil},
		{"everything quoted, blanks around", `"source", "subject", "username", "key"` + "\n" + `"company", " 00u1", "alice@example.com ", "` + key + `"` + "\n" + second, nil},
		{"columns in another order", "key,username,subject,source\n" + key + ",alice@example.com,00u1,company\n" + other + `,bob@example.com,"a, ""b""",company`, nil},
		{"no end of the last line", strings.TrimSuffix(head+first+second, "\n"), nil},
		{"empty", "", []string{"the first line"}},
		{"no first line", first, []string{"has to name the columns"}},
		{"a column twice", "source,subject,username,username\n" + first, []string{"has to name the columns"}},
		{"one more column", "source,subject,username,key,note\n", []string{"has to name the columns"}},
		{"semicolons", strings.ReplaceAll(head+first, ",", ";"), []string{"with commas between them"}},
		{"another encoding", head + "company,J\xf6rg,joerg@example.com," + key + "\n", []string{"not in UTF-8"}},
		{"UTF-16", "\xff\xfes\x00o\x00", []string{"not in UTF-8"}},
		{
			"much at once", head + "company,00u1,alice@example.com\n" + "company,00u2,,\n" + "company,a\"b,bob@example.com," + key + "\n" + first + second + first,
			[]string{
				"line 2 has 3 fields, not 4", "line 3 username is empty", "line 3 key is empty", `line 4`,
				"line 7 is about the person of line 5", "line 7 has the key of line 5",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "links.csv")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			rows, err := readImport(path)
			if len(tt.wants) == 0 {
				if diff := cmp.Diff(good, rows); diff != "" || err != nil {
					t.Errorf("read %v (-want +got):\n%s", err, diff)
				}
				return
			}
			if err == nil {
				t.Fatalf("read %+v", rows)
			}
			for _, want := range tt.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("nothing of %q in:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "trinity_mcp_") {
				t.Errorf("a key is told:\n%v", err)
			}
		})
	}
}
