package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// pagePath is where the page lies, seen from the root of the repository.
const pagePath = "docs/conformance.md"

func main() {
	if err := run(".", os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// run writes the page of the repository at root, and what it counts to out.
func run(root string, out io.Writer) error {
	p, err := load(root)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, pagePath), []byte(p.String()), 0o644); err != nil { //nolint:gosec // everybody may read it
		return fmt.Errorf("writing the page: %w", err)
	}
	_, err = io.WriteString(out, p.counts()+p.behaviourCounts()+"\n")
	return err
}
