package templates

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// maxQR bounds what is put into a picture: more gives one that no camera reads from a screen.
const maxQR = 512

// picture is a QR code as the one path of an SVG. Drawn in the page itself, it needs no exception
// from the policy that keeps pictures from anywhere else out.
type picture struct {
	Size int    // units of the view box, the quiet zone included
	Path string // a square for each run of dark modules of a row
}

// quietZone is the white border a reader needs (ISO/IEC 18004 §9.1).
const quietZone = 4

func drawQR(text string) (picture, error) {
	if text == "" || len(text) > maxQR {
		return picture{}, fmt.Errorf("drawing a QR code of %d bytes", len(text))
	}
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return picture{}, fmt.Errorf("drawing a QR code: %w", err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if n := x - from; n > 0 {
				_, _ = fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+quietZone, y+quietZone, n, n)
			}
		}
	}
	return picture{Size: code.Size + 2*quietZone, Path: path.String()}, nil
}
