// Package tools knows what Trinity's tools do, which scope a call needs, and what of them a caller sees.
//
//	catalogue.yaml, profiles.yaml → Load → Overlay, WithProfiles → Catalogue
//	Catalogue + Profile + grant → View → Offers (may it be called), List (what a list shows)
//	a server's list → Audit, Draft
//
// The catalogue is a file of judgements, one entry per tool: title, MCP's four hints, a category, whom it
// works for and the scope. The scope is a field of its own and does not follow from the hints (decision 7).
// What the catalogue does not know is destructive and needs the strongest scope (RS-38).
//
// Neighbours: bridge (Scope), jsonrpc (cuts lists out of answers), gateway (asks), discovery (makes
// resources of profiles), config (reads the operator's files), outbound (the transport of AskList).
package tools
