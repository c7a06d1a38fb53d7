package clients_test

import (
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/clients"
)

// taken is the case of the ids of the corpus that are good.
const taken = "taken"

// documentIDs are those of testdata/document-ids.txt by their case.
func documentIDs(t testing.TB) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("testdata/document-ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		id, quoted, found := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !found {
			continue
		}
		address, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all[id] = append(all[id], address)
	}
	if len(all) < 2 {
		t.Fatal("the corpus is empty")
	}
	return all
}

func TestCheckDocumentID(t *testing.T) {
	t.Parallel()
	ids := documentIDs(t)
	ids[taken] = append(ids[taken], "https://app.example.com/"+strings.Repeat("x", 232))
	ids["too long"] = []string{"https://app.example.com/" + strings.Repeat("x", 233)}
	for id, list := range ids {
		for _, address := range list {
			t.Run(id+" "+address, func(t *testing.T) {
				t.Parallel()
				if err := clients.CheckDocumentID(address); (err == nil) != (id == taken) {
					t.Error(err)
				}
			})
		}
	}
}

// What the rule lets through has one reading: parsers agree on it and give it back as it was.
func FuzzCheckDocumentID(f *testing.F) {
	for _, list := range documentIDs(f) {
		for _, seed := range list {
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, id string) {
		if clients.CheckDocumentID(id) != nil {
			return
		}
		u, err := url.Parse(id)
		if err != nil || u.String() != id || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Host == "" {
			t.Fatalf("%q is read as %+v, %v", id, u, err)
		}
		if clean := u.JoinPath(); clean.Path != u.Path || strings.Contains(u.Path, "//") || strings.Contains(u.Path+"/", "/../") || strings.Contains(u.Path+"/", "/./") {
			t.Fatalf("%q is cleaned to %q", id, clean)
		}
		if strings.ToLower(u.Host) != u.Host || len(u.Path) < 2 || len(id) > 256 {
			t.Fatalf("%q", id)
		}
	})
}
