package tools

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a directory of connectors takes (bounds in characters).
const (
	maxTitle       = 64
	maxDescription = 2048
)

// nameFaults are what keeps clients or directories from taking a name.
func nameFaults(name string) []string {
	var faults []string
	if name == "" || len(name) > maxNameLength {
		faults = append(faults, fmt.Sprintf("is not 1 to %d characters long", maxNameLength))
	}
	if !plain(name) || strings.Contains(name, ".") {
		faults = append(faults, "holds something else than letters, digits, '_' and '-'")
	}
	return faults
}

// usableName reports whether clients take the name at all: some drop a whole list for one that
// they do not.
func usableName(name string) bool { return name != "" && len(name) <= maxNameLength && plain(name) }

func titleFaults(title string) []string {
	var faults []string
	switch {
	case strings.TrimSpace(title) == "":
		faults = append(faults, "is empty")
	case utf8.RuneCountInString(title) > maxTitle:
		faults = append(faults, fmt.Sprintf("is longer than %d characters", maxTitle))
	}
	if hasHidden(title) || strings.ContainsAny(title, "\n\t") {
		faults = append(faults, hiddenText)
	}
	return faults
}

const hiddenText = "holds characters that cannot be seen"

// descriptionFaults are what a directory refuses in a description: nothing at all, too much, text
// that cannot be seen, and words that tell the model what to do instead of what the tool does.
func descriptionFaults(description string) []string {
	var faults []string
	switch {
	case strings.TrimSpace(description) == "":
		faults = append(faults, "is empty")
	case utf8.RuneCountInString(description) > maxDescription:
		faults = append(faults, fmt.Sprintf("is longer than %d characters", maxDescription))
	}
	if hasHidden(description) {
		faults = append(faults, hiddenText)
	}
	if words := steering.FindString(description); words != "" {
		faults = append(faults, fmt.Sprintf("steers the model: %q", strings.Join(strings.Fields(words), " ")))
	}
	return faults
}

// hasHidden finds what a person does not see and a model reads: format characters such as
// zero-width and direction marks and tags, controls, private use, and the variation selectors
// that can spell a text. The selectors for emoji are let be.
func hasHidden(text string) bool {
	if !utf8.ValidString(text) {
		return true
	}
	return strings.ContainsFunc(text, func(r rune) bool {
		switch {
		case r < ' ':
			return r != '\n' && r != '\r' && r != '\t'
		case r < 0x7f:
			return false
		}
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) ||
			0xfe00 <= r && r <= 0xfe0d || 0xe0000 <= r && r <= 0xe0fff
	})
}

// steering finds the words by which descriptions take over a conversation. What a tool needs of
// its arguments may be said with must; what the model must do may not.
var steering = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`\balways\s+(?:call|use|invoke|run|prefer|start|begin)\b`,
	`\b(?:call|use|invoke|run)\s+(?:this|it|the\s+tool)(?:\s+tool)?\s+(?:first|before|always|whenever|instead|immediately|automatically)\b`,
	`\bbefore\s+(?:calling|using|invoking|answering|responding|doing)\s+(?:any|other|all|another|anything|to)\b`,
	`\b(?:do\s+not|don't|never)\s+(?:call|invoke|mention|tell|reveal|show|inform|warn|ask)\b`,
	`\b(?:you|assistants?|agents?\s+like\s+you|claude|chatgpt|the\s+(?:model|ai|llm|assistant))\s+(?:must|should|shall|need\s+to|have\s+to|are\s+required\s+to)\b`,
	`\b(?:ignore|disregard|forget|override)\s+(?:all|any|the|your|previous|prior|earlier|other)\b`,
	`\b(?:system\s+prompt|(?:previous|prior|earlier)\s+instructions)\b`,
	`\b(?:important|critical|mandatory|required\s+step)\s*[:!]`,
	`<\s*/?\s*(?:important|system|instructions?|secret)\s*>`,
	`\b(?:instead\s+of|in\s+preference\s+to|rather\s+than)\s+(?:any\s+other|other|the\s+built-in|built-in)\b`,
	`\bwithout\s+(?:asking|telling|informing|confirming|mentioning)\b`,
	`\b(?:best|fastest|leading|world-class|revolutionary|award-winning)\s+(?:tool|way|platform|solution|service)\b`,
}, "|"))
