package templates

import (
	"html"
	"regexp"
	"strings"
	"testing"
)

// element is a start tag of a page, with the text up to the next tag.
type element struct {
	name  string
	attrs map[string]string
	text  string
}

var (
	tagForm  = regexp.MustCompile(`^<(/?)([a-z][a-z0-9]*)((?: [a-zA-Z-]+(?:="[^"<>]*")?)*)>`)
	attrForm = regexp.MustCompile(` ([a-zA-Z-]+)(?:="([^"]*)")?`)
	// ourElements are all a page is ever made of. An element that a client smuggled in is not among them.
	ourElements = strings.Fields(`html head meta title link body header main footer img p a h1 h2 h3 bdi time details summary div form
		input label button fieldset legend ul ol li span strong dl dt dd code table caption thead tbody tr th td svg path`)
)

// readPage reads a page as strictly as it is written: lower case, double quotes, only our elements.
// Whatever else begins with < fails the test, and so would markup that got out of a value.
func readPage(t *testing.T, page string) []element {
	t.Helper()
	rest, found := strings.CutPrefix(page, "<!doctype html>")
	if !found {
		t.Fatalf("no doctype: %.60q", page)
	}
	known := map[string]bool{}
	for _, name := range ourElements {
		known[name] = true
	}
	var elements []element
	for {
		before, after, found := strings.Cut(rest, "<")
		if n := len(elements); n > 0 {
			elements[n-1].text += html.UnescapeString(before)
		}
		if !found {
			return elements
		}
		tag := tagForm.FindStringSubmatch("<" + after)
		if tag == nil || !known[tag[2]] {
			t.Fatalf("not one of our tags: <%.80s", after)
		}
		if tag[1] == "" {
			e := element{name: tag[2], attrs: map[string]string{}}
			for _, attr := range attrForm.FindAllStringSubmatch(tag[3], -1) {
				e.attrs[attr[1]] = html.UnescapeString(attr[2])
			}
			elements = append(elements, e)
		}
		rest = after[len(tag[0])-1:]
	}
}

// named are the elements of a name, and of that name attribute when it is not "".
func named(elements []element, name, nameAttr string) []element {
	var found []element
	for _, e := range elements {
		if e.name == name && (nameAttr == "" || e.attrs["name"] == nameAttr) {
			found = append(found, e)
		}
	}
	return found
}

// words is a page's text as a person reads it, white space folded.
func words(elements []element) string {
	var b strings.Builder
	for _, e := range elements {
		if e.name != "bdi" && e.name != "a" {
			b.WriteByte(' ') // cells and terms stand apart without white space between them
		}
		b.WriteString(e.text)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func wantWords(t *testing.T, page string, want ...string) {
	t.Helper()
	text := words(readPage(t, page))
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("the page does not say %q:\n%s", w, text)
		}
	}
}
