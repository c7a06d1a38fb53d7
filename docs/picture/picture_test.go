package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

func TestImage_isUpToDate(t *testing.T) {
	t.Parallel()
	want, err := auditImage(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, imagePath))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s is not what `make pictures` draws (-drawn +there):\n%s", imagePath, diff)
	}
	for _, part := range []string{"154 tools, 154 with gaps", "prohibited: telephony", "tools, no gaps"} {
		if !strings.Contains(string(want), part) {
			t.Errorf("the image does not say %q", part)
		}
	}
	decoder := xml.NewDecoder(strings.NewReader(string(want)))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the image is no XML: %v", err)
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := run(folder); err == nil {
		t.Error("an image of nothing")
	}
}
