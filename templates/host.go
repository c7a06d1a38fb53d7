package templates

import (
	"strings"
	"unicode"
)

// asciiHost is host[:port] as it is shown: letters outside ASCII as punycode (CO-16), so that
// a Cyrillic "сlaude.ai" reads xn--laude-0ye.ai, and no character that could not be in a host.
func asciiHost(host string) string {
	labels := strings.Split(strings.ToLower(host), ".")
	for i, label := range labels {
		labels[i] = asciiLabel(label)
	}
	return clean(strings.Join(labels, "."))
}

func asciiLabel(label string) string {
	for _, r := range label {
		if r > unicode.MaxASCII {
			return "xn--" + punycode([]rune(label))
		}
	}
	return label
}

// punycode encodes a label that is not all ASCII (RFC 3492 §6.3). It is for showing only: nothing
// is compared or looked up by it.
func punycode(label []rune) string {
	var out []rune
	for _, r := range label {
		if r <= unicode.MaxASCII {
			out = append(out, r)
		}
	}
	basic, handled := len(out), len(out)
	if basic > 0 {
		out = append(out, '-')
	}
	for n, delta, bias := rune(0x80), 0, 72; handled < len(label); n, delta = n+1, delta+1 {
		next := lowestFrom(label, n)
		delta += int(next-n) * (handled + 1)
		n = next
		for _, r := range label {
			if r < n {
				delta++
			}
			if r == n {
				out = appendVariable(out, delta, bias)
				bias = adaptBias(delta, handled+1, handled == basic)
				delta, handled = 0, handled+1
			}
		}
	}
	return string(out)
}

// The parameters of RFC 3492 §5.
const (
	punyBase, punyMin, punyMax = 36, 1, 26
	punySkew, punyDamp         = 38, 700
	punyDigits                 = "abcdefghijklmnopqrstuvwxyz0123456789"
)

func lowestFrom(label []rune, least rune) rune {
	lowest := rune(unicode.MaxRune + 1)
	for _, r := range label {
		if r >= least && r < lowest {
			lowest = r
		}
	}
	return lowest
}

// appendVariable appends delta as a generalized variable-length integer (RFC 3492 §3.3).
func appendVariable(out []rune, delta, bias int) []rune {
	for k := punyBase; ; k += punyBase {
		threshold := min(max(k-bias, punyMin), punyMax)
		if delta < threshold {
			return append(out, rune(punyDigits[delta]))
		}
		digit := threshold + (delta-threshold)%(punyBase-threshold)
		out = append(out, rune(punyDigits[digit]))
		delta = (delta - threshold) / (punyBase - threshold)
	}
}

// adaptBias is RFC 3492 §6.1.
func adaptBias(delta, points int, first bool) int {
	if first {
		delta /= punyDamp
	} else {
		delta /= 2
	}
	delta += delta / points
	k := 0
	for ; delta > (punyBase-punyMin)*punyMax/2; k += punyBase {
		delta /= punyBase - punyMin
	}
	return k + (punyBase-punyMin+1)*delta/(delta+punySkew)
}
