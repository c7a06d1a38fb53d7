// Package clients knows who is asking.
//
// A client id comes in from the protocol endpoints; a bridge.Client comes out. There are three
// kinds: one the operator named in the configuration, one that registered itself (RFC 7591), and
// one that a document describes, whose id is the https URL of that document (CIMD). The words of
// the last two are their own claims; of the last, the host is proven.
//
//	authorize  → Identify → configured | registered | pinned, remembered or fetched document
//	approval   → Keep     → what the document said is stored with its grant
//	token, …   → Client   → configured | registered | stored; nobody outside is asked
//	assertion  → Keys     → keys given, or fetched and remembered
//
// Documents and keys are fetched through the guard of bridge/outbound and nothing else. Only good
// ones are remembered, for as long as their host says, within bounds of our own.
//
// The package also owns the rules that decide what may be a client's id, whose documents are let
// in, and whether a browser may be sent to a redirect URI.
//
// Neighbours: oauth asks it at every endpoint, consent and federation take from it what a page
// may say about the client, the store keeps registrations and what documents said, outbound
// fetches, config reads pinned documents and configured keys by its rules.
package clients
