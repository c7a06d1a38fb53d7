package trinity

import "strings"

const (
	maxMailboxBytes = 254 // RFC 5321 §4.5.3.1.3, without the angle brackets
	maxLocalBytes   = 64
	maxLabelBytes   = 63
)

// canonicalMailbox returns the one form of a typed address under which it is counted, compared
// and sent: ASCII, lower case, one @, a plain local part (no quotes, commas, comments or blanks)
// and a domain of letters, digits and hyphens (OT-10).
func canonicalMailbox(typed string) (string, bool) {
	mailbox := asciiLower(strings.Trim(typed, " \t"))
	local, domain, ok := strings.Cut(mailbox, "@")
	if !ok || len(mailbox) > maxMailboxBytes || !dotted(local, maxLocalBytes, isAtext) {
		return "", false
	}
	if !dotted(domain, maxLabelBytes, isHostByte) {
		return "", false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label[0] == '-' || label[len(label)-1] == '-' {
			return "", false
		}
	}
	return mailbox, true
}

// countedMailbox is the mailbox behind an address: a tag after a plus reaches the same person and
// must not win another allowance.
func countedMailbox(mailbox string) string {
	local, domain, _ := strings.Cut(mailbox, "@")
	if untagged, _, tagged := strings.Cut(local, "+"); tagged && untagged != "" {
		local = untagged
	}
	return local + "@" + domain
}

// sameMailbox compares what Trinity answered with a canonical mailbox. Only ASCII letters are
// folded: Unicode folding would make other people's letters equal.
func sameMailbox(answered, mailbox string) bool { return asciiLower(answered) == mailbox }

// dotted reports whether s is non-empty parts of at most limit bytes, joined by dots.
func dotted(s string, limit int, allowed func(byte) bool) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || len(part) > limit {
			return false
		}
		for i := range len(part) {
			if !allowed(part[i]) {
				return false
			}
		}
	}
	return true
}

// isAtext is RFC 5322 §3.2.3 in lower case.
func isAtext(b byte) bool {
	return isHostByte(b) || strings.IndexByte("!#$%&'*+/=?^_`{|}~", b) >= 0
}

func isHostByte(b byte) bool {
	return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '-'
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
