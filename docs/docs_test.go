// Package docs holds what people read, and the tests that keep it true: commands, settings, links
// and samples are compared with the program they speak of.
package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/static"
)

// root is the repository, seen from this folder.
const root = ".."

// pages are the documents by their path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{"README.md": read(t, "README.md")}
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			path = filepath.Join("docs", path)
			texts[path] = read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// samples are the files beside the documents that people copy from.
func samples(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, path := range []string{
		"Dockerfile", ".dockerignore", "compose.trinity-bridge.yaml", "docs/examples/trinity-bridge.yaml", "docs/images/three-trips.svg", "docs/images/tools-audit.svg",
	} {
		texts[path] = read(t, path)
	}
	return texts
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the fenced blocks of a language. Fences in lists are indented.
func blocks(text, language string) []string {
	var found []string
	fence := regexp.MustCompile("(?ms)^ *```" + language + "\n(.*?)^ *```$")
	for _, block := range fence.FindAllStringSubmatch(text, -1) {
		found = append(found, block[1])
	}
	return found
}

// flagNames are the settings' flags and what is said of each.
func flagNames() (names []string, help map[string]string) {
	help = map[string]string{}
	for field := range reflect.TypeFor[config.Flags]().Fields() {
		name := field.Tag.Get("name")
		names, help[name] = append(names, name), field.Tag.Get("help")
	}
	return names, help
}

func variableOf(flag string) string {
	return "TRINITY_BRIDGE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func TestDocs_settingsTable(t *testing.T) {
	t.Parallel()
	names, help := flagNames()
	var want []string
	for _, name := range names {
		want = append(want, fmt.Sprintf("| `--%s` | `%s` | %s |", name, variableOf(name), help[name]))
	}
	var got []string
	for line := range strings.Lines(read(t, "docs/settings.md")) {
		if strings.HasPrefix(line, "| `--") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/settings.md, its table (-program +document):\n%s", diff)
	}
}

func TestDocs_variables(t *testing.T) {
	t.Parallel()
	var known []string
	names, _ := flagNames()
	for _, name := range names {
		known = append(known, variableOf(name), variableOf(name)+"_FILE")
	}
	variable := regexp.MustCompile(`TRINITY_BRIDGE_[A-Z_]*[A-Z]`)
	for _, texts := range []map[string]string{pages(t), samples(t)} {
		for path, text := range texts {
			for _, name := range variable.FindAllString(text, -1) {
				if !slices.Contains(known, name) {
					t.Errorf("%s: there is no variable %s", path, name)
				}
			}
		}
	}
}

func TestDocs_exampleLoads(t *testing.T) {
	t.Parallel()
	const path = "examples/trinity-bridge.yaml"
	got, err := config.Load(config.Flags{Config: path}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatalf("%s:\n%v", path, err)
	}
	if len(got.Clients) != 1 || !clients.MatchRedirect(got.Clients[0].RedirectURIs, "https://claude.ai/api/mcp/auth_callback") {
		t.Errorf("its clients = %+v", got.Clients)
	}
	var keys map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "docs/"+path)), &keys); err != nil {
		t.Fatal(err)
	}
	names, _ := flagNames()
	shownElsewhere := []string{"config", "secret", "secret-command", "secret-previous", "registration-token", "tls-cert", "tls-key", "allowed-hosts", "pinned-documents", "document-ca", "tools-overlay"}
	for _, name := range names {
		if _, shown := keys[strings.ReplaceAll(name, "-", "_")]; !shown && !slices.Contains(shownElsewhere, name) {
			t.Errorf("%s does not show %s", path, name)
		}
	}
}

// command is a command of the program: what may follow it.
type command struct {
	flags    []string // with their dashes
	commands map[string]*command
}

// commandLine reads the commands from the source of cmd/trinity-bridge, whose struct tags are the
// command line: the program itself would have to be built to be asked.
func commandLine(t *testing.T) *command {
	t.Helper()
	types := map[string]*ast.StructType{}
	paths, err := filepath.Glob(filepath.Join(root, "cmd/trinity-bridge/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if body, ok := spec.Type.(*ast.StructType); ok {
					types[spec.Name.Name] = body
				}
			}
			return true
		})
	}
	if types["cli"] == nil {
		t.Fatal("cmd/trinity-bridge has no type cli")
	}
	top := commandOf(types, "cli")
	top.flags = append(top.flags, "--help")
	return top
}

func commandOf(types map[string]*ast.StructType, name string) *command {
	c := &command{commands: map[string]*command{}}
	body := types[name]
	if body == nil {
		return c
	}
	for _, field := range body.Fields.List {
		tag := reflect.StructTag("")
		if field.Tag != nil {
			tag = reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
		}
		kind, _ := field.Type.(*ast.Ident)
		_, isCommand := tag.Lookup("cmd")
		_, isArgument := tag.Lookup("arg")
		switch {
		case len(field.Names) == 0 && kind != nil: // what commands have in common
			c.flags = append(c.flags, commandOf(types, kind.Name).flags...)
		case len(field.Names) == 0: // the settings
			names, _ := flagNames()
			for _, flag := range names {
				c.flags = append(c.flags, "--"+flag)
			}
		case isCommand:
			c.commands[dashed(field.Names[0].Name)] = commandOf(types, kind.Name)
		case !isArgument:
			flag := tag.Get("name")
			if flag == "" {
				flag = dashed(field.Names[0].Name)
			}
			c.flags = append(c.flags, "--"+flag, "-"+tag.Get("short"))
		}
	}
	return c
}

// dashed is how the command line spells a field: OperatorListen is operator-listen.
func dashed(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// check says what is wrong with the words that follow the program's name, or "".
func (c *command) check(words []string) string {
	here := c
	for _, word := range words {
		flag, _, _ := strings.Cut(word, "=")
		next := here.commands[word]
		switch {
		case strings.HasPrefix(word, "-"):
			if !slices.Contains(here.flags, flag) && !slices.Contains(c.flags, flag) {
				return "there is no flag " + flag
			}
		case next != nil:
			here = next
		case len(here.commands) > 0:
			return "there is no command " + word
		}
	}
	if len(here.commands) > 0 && !slices.Contains(words, "--help") {
		return "a command is missing"
	}
	return ""
}

func TestDocs_commands(t *testing.T) {
	t.Parallel()
	program := commandLine(t)
	call := regexp.MustCompile(`(?:^|/|exec |\s)(?:go run \./cmd/trinity-bridge|(?:bin/|/)?trinity-bridge) (.+)$`)
	seen := 0
	check := func(path, line string) {
		line, _, _ = strings.Cut(line, "  #")
		for _, match := range call.FindAllStringSubmatch(strings.TrimSpace(line), -1) {
			// "docker compose exec trinity-bridge /trinity-bridge …" names the container first.
			words := strings.Fields(strings.TrimPrefix(match[1], "/trinity-bridge "))
			seen++
			if wrong := program.check(words); wrong != "" {
				t.Errorf("%s: %s: %s", path, strings.TrimSpace(line), wrong)
			}
		}
	}
	inline := regexp.MustCompile("`((?:go run \\./cmd/|bin/)?trinity-bridge [^`:…]+)`")
	for path, text := range pages(t) {
		for _, block := range blocks(text, "sh") {
			for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", " ")) {
				if !strings.Contains(line, " logs ") && !strings.Contains(line, " cp ") {
					check(path, line)
				}
			}
		}
		for _, block := range blocks(text, "ini") {
			for line := range strings.Lines(block) {
				if command, ok := strings.CutPrefix(line, "ExecStart="); ok {
					check(path, command)
				}
			}
		}
		for _, match := range inline.FindAllStringSubmatch(text, -1) {
			check(path, match[1])
		}
	}
	for _, test := range composeHealthcheck(t) {
		check("compose.trinity-bridge.yaml", test)
	}
	if seen < 10 {
		t.Errorf("only %d commands were found: does this test still read what the documents say?", seen)
	}
}

// A check that finds nothing wrong with anything is worth nothing.
func TestDocs_commandsTellsWrongOnes(t *testing.T) {
	t.Parallel()
	program := commandLine(t)
	for _, line := range []string{"server", "serve --public-uri x", "grants remove X", "grants", "demo --config x", "grants list --yes"} {
		if program.check(strings.Fields(line)) == "" {
			t.Errorf("%q is taken for a command", line)
		}
	}
	for _, line := range []string{"serve --public-url=https://connect.example.com", "grants revoke -y ID", "demo --listen 127.0.0.1:9000", "grants --help"} {
		if wrong := program.check(strings.Fields(line)); wrong != "" {
			t.Errorf("%q: %s", line, wrong)
		}
	}
}

func composeHealthcheck(t *testing.T) []string {
	t.Helper()
	var file struct {
		Services map[string]struct {
			Healthcheck struct {
				Test []string `yaml:"test"`
			} `yaml:"healthcheck"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "compose.trinity-bridge.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	test := file.Services["trinity-bridge"].Healthcheck.Test
	if len(test) < 2 || test[0] != "CMD" {
		t.Fatalf("the health check is %q: without a shell only CMD works", test)
	}
	return []string{strings.Join(test[1:], " ")}
}

func TestDocs_makeTargets(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	named := regexp.MustCompile("(?m)(?:^|`)make ([a-z0-9-]+)")
	for path, text := range pages(t) {
		for _, match := range named.FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(`(?m)^` + match[1] + `:`).MatchString(makefile) {
				t.Errorf("%s: there is no make %s", path, match[1])
			}
		}
	}
}

func TestDocs_links(t *testing.T) {
	t.Parallel()
	texts := pages(t)
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	linked := map[string]bool{"README.md": true}
	for path, text := range texts {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := filepath.Join(filepath.Dir(path), target)
			if target == "" {
				to = path
			} else if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", path, match[1])
			}
			if anchor != "" && !slices.Contains(anchors(texts[to]), anchor) {
				t.Errorf("%s: the link %s leads to no heading", path, match[1])
			}
			linked[to] = linked[to] || to != path
		}
	}
	for path := range texts {
		if !linked[path] {
			t.Errorf("%s: no link leads there", path)
		}
	}
}

// anchors are the headings of a page as links spell them.
func anchors(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			found = append(found, strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
					return unicode.ToLower(r)
				}
				return -1
			}, strings.TrimSpace(heading)))
		}
	}
	return found
}

func TestDocs_hosts(t *testing.T) {
	t.Parallel()
	allowed := regexp.MustCompile(`^((\w+\.)?example\.com|claude\.(ai|com)|localhost|127\.0\.0\.1|backend|mcp-server|trinity-bridge|frontend|www\.w3\.org|login\.microsoftonline\.com|graph\.microsoft\.com)$`)
	address := regexp.MustCompile("https?://[^\\s\"'`<>(){}|]+")
	for _, texts := range []map[string]string{pages(t), samples(t)} {
		for path, text := range texts {
			for _, found := range address.FindAllString(text, -1) {
				u, err := url.Parse(strings.TrimRight(found, ".,;:…*"))
				if err != nil || u.Host != "" && !allowed.MatchString(u.Hostname()) {
					t.Errorf("%s: %s is neither an example nor a known address (%v)", path, found, err)
				}
			}
		}
	}
}

// On a host shared with Trinity the proxy has to send every path of the bridge to it, and none of Trinity's.
func TestDocs_sameHostPaths(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/deploy.md")
	found := regexp.MustCompile(`(?m)^(?:location ~|\t@bridge path_regexp| +path:) (\^\S+\$)(?: \{)?$`).FindAllStringSubmatch(text, -1)
	if len(found) != 3 {
		t.Fatalf("docs/deploy.md holds %d path patterns, want nginx, Caddy and cloudflared", len(found))
	}
	for _, match := range found[1:] {
		if match[1] != found[0][1] {
			t.Errorf("the patterns differ:\n%s\n%s", found[0][1], match[1])
		}
	}
	pattern := regexp.MustCompile(found[0][1])
	metadata, err := url.Parse(discovery.MetadataURL("", discovery.PathMCP))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		discovery.PathMCP, discovery.PathMCP + "/", discovery.PathMCP + "/listed", metadata.Path + "/listed", metadata.Path, strings.TrimSuffix(metadata.Path, discovery.PathMCP),
		"/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/mcp", "/.well-known/openid-configuration",
		discovery.PathAuthorize, discovery.PathToken, discovery.PathRegister, discovery.PathRevoke, discovery.PathKeys,
		"/authorize", "/token", "/register", flow.PathSignIn, flow.PathCode, flow.PathSecondFactor, flow.PathConsent, flow.PathOnward,
		"/help/connect", "/privacy", static.StyleSheet(), static.Mark(),
	} {
		if !pattern.MatchString(path) {
			t.Errorf("%s does not reach the bridge", path)
		}
	}
	for _, path := range []string{
		"/", "/login", "/setup", "/settings", "/api/token", "/api/mcp/keys", "/a2a/x", "/ws", "/mcpx", "/health",
		"/assets/index.css", "/static/other.css", "/tokens", "/.well-known/aauth-x.json",
	} {
		if pattern.MatchString(path) {
			t.Errorf("%s is Trinity's and does not reach it", path)
		}
	}
}
