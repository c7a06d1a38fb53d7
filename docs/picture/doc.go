// Command picture draws what `trinity-bridge tools audit` prints, for docs/tools.md: a terminal as an
// SVG image, light and dark.
//
//	bridge/tools/testdata/names.txt → tools.Audit → Report.Write → docs/images/tools-audit.svg
//
// It is run by `make pictures`; a test tells when the image is not what the program prints any more.
package main
