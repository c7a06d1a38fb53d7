package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestVerify_whatIsWrong: columns that indexes are made of say what their row does not, and rows that do
// not open.
func TestVerify_whatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		statement string
		want      string
	}{
		"nothing":                       {"select 1", ""},
		"a row in another's index":      {`update grants set of_person = '\x00'`, "do not lead to grant"},
		"a row that is in none":         {"update grants set created = null", "do not lead to grant"},
		"a row that is due another day": {"update codes set due = due + 1", "do not lead to code"},
		"OP-11/another row's record":    {"update grants set record = (select record from consents)", "cannot be read"},
		"a row that is cut":             {"update codes set record = substr(record, 1, 20)", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := server.Database(t)
			s := openClosed(t, url)
			connect(t, s)
			conn, err := pgx.Connect(t.Context(), url)
			must(t, err)
			defer func() { must(t, conn.Close(t.Context())) }()
			_, err = conn.Exec(t.Context(), tt.statement)
			must(t, err)
			report, err := s.Verify(t.Context(), time.Now())
			must(t, err)
			said := strings.Join(report.First, "\n")
			if faults := report.Faults - report.Lost; (faults > 0) != (tt.want != "") || !strings.Contains(said, tt.want) {
				t.Errorf("%d faults, want %q:\n%s", faults, tt.want, said)
			}
		})
	}
}
