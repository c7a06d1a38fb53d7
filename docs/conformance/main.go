package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// pagePath is where the page lies, seen from the root of the repository.
const pagePath = "docs/conformance.md"

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// run writes the page of the repository at root and prints what it counts.
func run(root string) error {
	p, err := load(root)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, pagePath), []byte(p.String()), 0o644); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	fmt.Print(p.counts())
	return nil
}
