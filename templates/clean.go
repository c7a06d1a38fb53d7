package templates

import (
	"strings"
	"unicode"
)

const (
	maxNameLetters = 80 // letters with their marks, the ellipsis included
	maxMarks       = 2  // combining marks on one letter
	brailleBlank   = '\u2800'
)

// CleanName makes a name that a client gave itself fit to be shown and kept: control, format,
// direction and invisible characters go, white space becomes one blank, a letter carries two
// combining marks at most, and the name is cut at 80 letters (CO-15, AS-052). Markup stays: it is
// text, and the page prints it as text. Cleaning a clean name changes nothing.
func CleanName(name string) string {
	cleaned := clean(name)
	letters, cut := 0, len(cleaned)
	for i, r := range cleaned {
		if unicode.IsMark(r) {
			continue
		}
		letters++
		if letters == maxNameLetters {
			cut = i
		}
	}
	if letters <= maxNameLetters {
		return cleaned
	}
	return strings.TrimRight(cleaned[:cut], " ") + "…"
}

// clean is CleanName without the cut. Every value on a page goes through it.
func clean(text string) string {
	var b strings.Builder
	marks, blank, empty := maxMarks, false, true // a mark with no letter before it is dropped
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			blank, marks = true, maxMarks
			continue
		case !shown(r):
			continue
		case unicode.IsMark(r):
			if marks == maxMarks {
				continue
			}
			marks++
		default:
			if blank && !empty {
				b.WriteByte(' ')
			}
			marks, blank, empty = 0, false, false
		}
		b.WriteRune(unquoted(r))
	}
	return b.String()
}

// shown reports whether r leaves something to see on a page and nothing else: no control, no
// direction, no filler, no selector, nothing unassigned.
func shown(r rune) bool {
	return r != unicode.ReplacementChar && r != brailleBlank && unicode.IsGraphic(r) &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// unquoted takes the quotation marks our own sentences set a name in, so that no name can close them.
func unquoted(r rune) rune {
	if r == '“' || r == '”' {
		return '"'
	}
	return r
}
