package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/app"
)

type linksCommand struct {
	List   linksList   `cmd:"" help:"List who of the identity sources is linked to which Trinity account, newest first."`
	Import linksImport `cmd:"" help:"Link people to Trinity accounts with keys you bring."`
	End    linksEnd    `cmd:"" help:"End a link: its connections end and its Trinity key is revoked."`
}

type linksList struct {
	running
	printed
}

// Run prints a table, or JSON.
func (l *linksList) Run(c *console) error {
	links, err := app.ListLinks(c.ctx, l.Data)
	if err != nil {
		return err
	}
	if l.JSON {
		return json.NewEncoder(c.out).Encode(links)
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tISSUER\tSUBJECT\tACCOUNT\tMADE BY\tCREATED\tENDED BECAUSE")
	for _, link := range links {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", link.ID, printable(link.Issuer), printable(link.Subject),
			printable(link.Account), link.Made, link.CreatedAt.Format(time.DateTime), link.EndReason)
	}
	return table.Flush()
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
		_, _ = fmt.Fprintf(c.out, "End link %s? All connections of this person end and their Trinity key is revoked. [y/N] ", l.ID)
		if !confirmed(c.ctx) {
			return errors.New("nothing was changed")
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
			if err := l.print(c, checked); err != nil {
				return err
			}
			_, _ = fmt.Fprint(c.out, "Store the links that are good? [y/N] ")
			if !confirmed(c.ctx) {
				return errors.New("nothing was changed")
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
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "LINE\tSOURCE\tSUBJECT\tACCOUNT\tRESULT")
	for _, row := range rows {
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", row.Line, printable(row.Source), printable(row.Subject), printable(row.Account), row.Outcome)
	}
	return table.Flush()
}

// readImport reads the file strictly: a column that is missing or not known is a mistake.
func readImport(path string) ([]app.LinkRow, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading the links: %w", err)
	}
	defer func() { _ = file.Close() }()
	reader := csv.NewReader(file)
	reader.TrimLeadingSpace = true
	head, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the first line of %s: %w", path, err)
	}
	sorted := slices.Clone(head)
	slices.Sort(sorted)
	wanted := importColumns()
	slices.Sort(wanted)
	if !slices.Equal(sorted, wanted) {
		return nil, fmt.Errorf("%s: the first line has to name the columns %s", path, strings.Join(importColumns(), ", "))
	}
	var rows []app.LinkRow
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		line, _ := reader.FieldPos(0)
		at := func(column string) string { return strings.TrimSpace(record[slices.Index(head, column)]) }
		rows = append(rows, app.LinkRow{Line: line, Source: at("source"), Subject: at("subject"), Username: at("username"), Key: at("key")})
	}
}
