package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/abilityai/trinity-bridge/bridge/app"
)

type linksCommand struct {
	List   linksList   `cmd:"" help:"List who of the identity sources is linked to which Trinity account, newest first."`
	Import linksImport `cmd:"" help:"Link people to Trinity accounts with keys you bring."`
	End    linksEnd    `cmd:"" help:"End a link: its connections end and its Trinity key is revoked."`
}

type linksList struct {
	running
	listed
}

// Run prints a table, or JSON.
func (l *linksList) Run(c *console) error {
	head := []any{"ID", "ISSUER", "SUBJECT", "ACCOUNT", "MADE BY", "CREATED", "ENDED BECAUSE"}
	return printList(c, l.listed, app.ListLinks(c.ctx, l.Data), head, func(l app.ListedLink) []any {
		return []any{l.ID, printable(l.Issuer), printable(l.Subject), printable(l.Account), l.Made, moment(&l.CreatedAt), l.EndReason}
	})
}

type linksEnd struct {
	running
	printed
	ID  string `arg:"" help:"The link's id."`
	Yes bool   `short:"y" help:"Do not ask."`
}

// Run asks, then ends the link.
func (l *linksEnd) Run(c *console) error {
	if !l.Yes {
		if err := c.confirm("End link %s? All connections of this person end and their Trinity key is revoked.", l.ID); err != nil {
			return err
		}
	}
	link, err := app.EndLink(c.ctx, l.Data, l.ID)
	if err != nil {
		return err
	}
	if l.JSON {
		return json.NewEncoder(c.out).Encode(link)
	}
	_, err = fmt.Fprintf(c.out, "link %s of %s is ended (%s), connections ended with it: %d\n", link.ID, printable(link.Account), link.EndReason, link.Ended)
	return err
}

type linksImport struct {
	running
	printed
	DryRun bool   `name:"dry-run" help:"Try every key at Trinity and store nothing."`
	Yes    bool   `short:"y" help:"Do not ask."`
	File   string `arg:"" help:"CSV file with the columns source, subject, username and key."`
}

var errImport = errors.New("not every line could be imported")

// importColumns are the names in the file's first line, in any order.
func importColumns() []string { return []string{"source", "subject", "username", "key"} }

// Run tries all lines, and stores those that are good if that was wanted. A line that is not good
// keeps no other from being stored.
func (l *linksImport) Run(c *console) error {
	rows, err := readImport(l.File)
	if err != nil {
		return err
	}
	checked, err := app.ImportLinks(c.ctx, l.Data, rows, true)
	if err != nil {
		return err
	}
	if !l.DryRun && slices.ContainsFunc(checked, func(r app.ImportedLink) bool { return r.Outcome == app.ImportGood }) {
		if !l.Yes {
			if err := printImport(c.err, checked); err != nil {
				return err
			}
			if err := c.confirm("Store the links that are good?"); err != nil {
				return err
			}
		}
		if checked, err = app.ImportLinks(c.ctx, l.Data, rows, false); err != nil {
			return err
		}
	}
	if err := l.print(c, checked); err != nil {
		return err
	}
	if slices.ContainsFunc(checked, func(r app.ImportedLink) bool { return !r.Fine() }) {
		return errImport
	}
	return nil
}

func (l *linksImport) print(c *console, rows []app.ImportedLink) error {
	if l.JSON {
		return json.NewEncoder(c.out).Encode(rows)
	}
	return printImport(c.out, rows)
}

func printImport(out io.Writer, all []app.ImportedLink) error {
	rows := newTable(out, "LINE", "SOURCE", "SUBJECT", "ACCOUNT", "RESULT")
	for _, row := range all {
		if err := rows.add(row.Line, printable(row.Source), printable(row.Subject), printable(row.Account), row.Outcome); err != nil {
			return err
		}
	}
	return rows.end()
}

// readImport reads the file strictly. What is wrong with it is told all at once, before any key is
// tried, and never with a key.
func readImport(path string) ([]app.LinkRow, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading the links: %w", err)
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%s is not in UTF-8: store it as \"CSV UTF-8\"", path)
	}
	reader := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff")))) // spreadsheets write the mark
	reader.TrimLeadingSpace, reader.FieldsPerRecord = true, -1
	head, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the first line of %s: %w", path, err)
	}
	sorted, wanted := slices.Sorted(slices.Values(head)), slices.Sorted(slices.Values(importColumns()))
	if !slices.Equal(sorted, wanted) {
		return nil, fmt.Errorf("%s: the first line has to name the columns %s, with commas between them", path, strings.Join(importColumns(), ", "))
	}
	file := importFile{path: path, head: head, lines: map[string]int{}}
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return file.rows, errors.Join(file.mistakes...)
		}
		file.take(reader, record, err)
	}
}

// importFile is what was read of a file so far.
type importFile struct {
	path     string
	head     []string
	rows     []app.LinkRow
	mistakes []error
	lines    map[string]int // where each person and each key stands
}

// take takes a line, or notes what is wrong with it.
func (f *importFile) take(reader *csv.Reader, record []string, err error) {
	if err != nil {
		f.mistakes = append(f.mistakes, fmt.Errorf("%s: %w", f.path, err)) // it names the line
		return
	}
	line, _ := reader.FieldPos(0)
	if len(record) != len(f.head) {
		f.mistake(line, "has %d fields, not %d", len(record), len(f.head))
		return
	}
	at := func(column string) string { return strings.TrimSpace(record[slices.Index(f.head, column)]) }
	row := app.LinkRow{Line: line, Source: at("source"), Subject: at("subject"), Username: at("username"), Key: at("key")}
	for _, column := range f.head {
		if at(column) == "" {
			f.mistake(line, "%s is empty", column)
		}
	}
	f.once(line, "person "+row.Source+"\x00"+row.Subject, "is about the person of line %d")
	if row.Key != "" {
		f.once(line, "key "+row.Key, "has the key of line %d: each person needs one of their own")
	}
	f.rows = append(f.rows, row)
}

func (f *importFile) once(line int, what, mistake string) {
	if before, stands := f.lines[what]; stands {
		f.mistake(line, mistake, before)
		return
	}
	f.lines[what] = line
}

func (f *importFile) mistake(line int, format string, values ...any) {
	f.mistakes = append(f.mistakes, fmt.Errorf("%s: line %d %s", f.path, line, fmt.Sprintf(format, values...)))
}
