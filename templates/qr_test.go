package templates

import (
	"fmt"
	"strings"
	"testing"

	"rsc.io/qr"
)

// The path has exactly the dark modules of the code, inside the quiet zone.
func TestDrawQR(t *testing.T) {
	t.Parallel()
	const text = "otpauth://totp/Trinity:alice@example.com?secret=JBSWY3DPEHPK3PXP&issuer=Trinity"
	drawn, err := drawQR(text)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	dark := map[[2]int]bool{}
	for run := range strings.SplitSeq(strings.TrimSuffix(drawn.Path, "z"), "z") {
		var x, y, n, back int
		if _, err := fmt.Sscanf(run, "M%d %dh%dv1h-%d", &x, &y, &n, &back); err != nil || n != back || n < 1 {
			t.Fatalf("run %q (%v)", run, err)
		}
		for i := range n {
			dark[[2]int{x + i, y}] = true
		}
	}
	if drawn.Size != code.Size+8 {
		t.Errorf("size %d around %d modules", drawn.Size, code.Size)
	}
	for y := range drawn.Size {
		for x := range drawn.Size {
			if want := code.Black(x-quietZone, y-quietZone); dark[[2]int{x, y}] != want {
				t.Fatalf("module %d,%d is %t", x, y, !want)
			}
		}
	}
	for _, text := range []string{"", strings.Repeat("x", maxQR+1)} {
		if _, err := drawQR(text); err == nil {
			t.Errorf("%d bytes were drawn", len(text))
		}
	}
}

func TestEnrol_links(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"", "javascript:alert(1)", "https://evil.example/?secret=a", "otpauth://hotp/a?secret=a", "otpauth://totp/a"} {
		t.Run(uri, func(t *testing.T) {
			t.Parallel()
			page := enrolPage("")
			page.URI = uri
			writeBroken(t, page)
		})
	}
}
