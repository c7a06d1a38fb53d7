// Package idp is an OpenID provider for tests: a right one by default, and as wrong as a test
// wants it.
//
// It speaks the code flow with PKCE over real HTTP on loopback and signs with real keys of the three
// algorithms. Nobody is asked anything: Approve plays the browser and signs in whom the test names.
// Hooks change what it says, Intercept takes a request away from it.
//
// What real providers do is shown with real providers in e2e; this one exists because none of them
// can be made to lie.
package idp
