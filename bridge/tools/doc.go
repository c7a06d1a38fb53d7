// Package tools knows what Trinity's tools do and which scope a call needs.
//
//	catalogue.yaml → Load → Catalogue.Scope(tool), MethodScope(method) → the gateway allows or challenges
//
// The catalogue is a file of judgements, one entry per tool: title, MCP's four hints, a category and
// the scope. The scope is a field of its own and does not follow from the hints (decision 7). What
// the catalogue does not know needs the strongest scope (RS-38).
//
// Neighbours: bridge (Scope), gateway (asks).
package tools
