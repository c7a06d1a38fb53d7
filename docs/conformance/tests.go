package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// named is an id, or a range of them, in a test's name, comment, table or message: AS-034, AS34, GW-67,
// AS-006…AS-015. RS ids are not read: the catalogue of attacks, which tests name too, numbers its own RS rows.
var named = regexp.MustCompile(`(?:^|[^A-Za-z0-9])(AS|GW|EX)-?([0-9]{2,3})(?:…(?:AS-|GW-|EX-)?([0-9]{2,3}))?`)

// behaved is the id of one of behaviours.yaml; what follows it decides whether it is one.
var behaved = regexp.MustCompile(`(?:^|[^A-Za-z0-9])(B[0-9]{2})`)

// idsIn returns the ids that a text names, in the spelling of rules.yaml and behaviours.yaml.
func idsIn(text string) []string {
	var ids []string
	for _, at := range behaved.FindAllStringSubmatchIndex(text, -1) {
		if end := at[3]; end == len(text) || !alphanumeric(text[end]) {
			ids = append(ids, text[at[2]:end])
		}
	}
	for _, match := range named.FindAllStringSubmatch(text, -1) {
		first, _ := strconv.Atoi(match[2])
		last := first
		if match[3] != "" {
			last, _ = strconv.Atoi(match[3])
		}
		for n := first; n <= last; n++ {
			ids = append(ids, spell(match[1], n))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func alphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// spell is how the rules write an id: AS has three digits, the others two.
func spell(group string, n int) string {
	if group == "AS" {
		return fmt.Sprintf("%s-%03d", group, n)
	}
	return fmt.Sprintf("%s-%02d", group, n)
}

// findTests returns the tests of the module at root, each with the ids it names. A test is called by its folder and its
// name: e2e/protocol.TestRevoke; "bridge/" before the folder is left out.
func findTests(root string) (map[string][]string, error) {
	tests := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "docs") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		return readTests(path, strings.TrimPrefix(filepath.ToSlash(folder), "bridge/"), tests)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the tests: %w", err)
	}
	return tests, nil
}

// readTests adds the tests of one file in folder. What a test names is what its function says: name, comment, body.
func readTests(path, folder string, tests map[string][]string) error {
	text, err := os.ReadFile(path) //nolint:gosec // a source file of this repository
	if err != nil {
		return err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, decl := range file.Decls {
		function, ok := decl.(*ast.FuncDecl)
		if !ok || function.Recv != nil || !isTest(function.Name.Name) {
			continue
		}
		start := function.Pos()
		if function.Doc != nil {
			start = function.Doc.Pos()
		}
		name := folder + "." + function.Name.Name
		source := text[files.Position(start).Offset:files.Position(function.End()).Offset]
		tests[name] = append(tests[name], idsIn(string(source))...)
	}
	return nil
}

func isTest(name string) bool {
	return name != "TestMain" && (strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz"))
}
