package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"
)

// printed is how a command prints.
type printed struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// listed is how a command prints what may be long.
type listed struct {
	printed
	Limit uint `placeholder:"N" help:"Print the newest N only."`
}

// errEnough says that nobody reads the output any more, as head does after its lines. It is not told.
var errEnough = errors.New("the output was closed")

// output is where commands print.
type output struct{ io.Writer }

// Write fails with errEnough where nobody reads.
func (o output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		err = errEnough
	}
	return n, err
}

// printList prints a list while it comes, so that the longest one is never held. After an error a JSON array is left
// open: nobody takes what has come for all of it.
func printList[T any](c *console, how listed, list iter.Seq2[T, error], head []any, row func(T) []any) error {
	rows, array := newTable(c.out, head...), newArray(c.out)
	add, end, cut := func(one T) error { return rows.add(row(one)...) }, rows.end, rows.end
	if how.JSON {
		add, end, cut = func(one T) error { return array.add(one) }, array.end, array.out.Flush
	}
	var n uint
	for one, err := range list {
		if err != nil {
			return errors.Join(err, cut())
		}
		if err := add(one); err != nil {
			return err
		}
		if n++; n == how.Limit {
			break
		}
	}
	return end()
}

// tableRows are so many rows as a page of a list: a table prints them together.
const tableRows = 100

// table prints rows in columns. A column is as wide as its longest cell so far, for the rows to come are not known.
type table struct {
	out    io.Writer
	rows   [][]string
	widths []int
}

func newTable(out io.Writer, head ...any) *table {
	t := &table{out: out, widths: make([]int, len(head))}
	t.rows = [][]string{t.cells(head)}
	return t
}

func (t *table) cells(values []any) []string {
	cells := make([]string, len(values))
	for i, value := range values {
		cells[i] = fmt.Sprint(value)
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cells[i]))
	}
	return cells
}

func (t *table) add(values ...any) error {
	if t.rows = append(t.rows, t.cells(values)); len(t.rows) < tableRows {
		return nil
	}
	return t.end()
}

// end prints what has not been printed.
func (t *table) end() error {
	var text strings.Builder
	for _, row := range t.rows {
		last := len(row) - 1
		for i, cell := range row[:last] {
			_, _ = fmt.Fprintf(&text, "%-*s  ", t.widths[i], cell)
		}
		text.WriteString(row[last] + "\n")
	}
	t.rows = t.rows[:0]
	_, err := io.WriteString(t.out, text.String())
	return err
}

// array prints a JSON array, a value to a line.
type array struct {
	out *bufio.Writer
	n   int
}

func newArray(out io.Writer) *array { return &array{out: bufio.NewWriter(out)} }

func (a *array) add(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	lead := "["
	if a.n++; a.n > 1 {
		lead = ",\n"
	}
	_, err = a.out.WriteString(lead + string(text))
	return err
}

func (a *array) end() error {
	rest := "]\n"
	if a.n == 0 {
		rest = "[]\n"
	}
	_, err := a.out.WriteString(rest)
	if err == nil {
		err = a.out.Flush()
	}
	return err
}

// moment is a time in a table, and "-" where there is none.
func moment(at *time.Time) string {
	if at == nil || at.IsZero() {
		return "-"
	}
	return at.UTC().Format(time.DateTime)
}

// printable keeps a client's own words from moving the terminal's cursor, and from turning the line around.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || unicode.Is(unicode.Zs, r) {
			return r
		}
		return '?'
	}, text)
}
