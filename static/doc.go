// Package static holds the files the pages need: one style sheet and one mark.
//
// A page asks StyleSheet and Mark for their addresses; the browser asks the routes of Mount for
// the bytes. An address carries a fingerprint of the content, so a file may be kept for ever and
// a new build is seen at once.
//
//	templates → StyleSheet() → page → browser → Mount → embedded bytes
//
// Neighbours: templates links to the files, app mounts the routes. There is no script here and
// none is ever served: the pages' Content-Security-Policy would refuse it.
package static
