// Package clients has the clients that people really use connect through the bridge, each from a fresh installation.
//
//	Python SDK, TypeScript SDK, FastMCP, AI SDK, mcp-go  →  trinity-bridge  →  simulated Trinity
//	Inspector, Claude Code, Codex, Gemini CLI, mcp-use  →  trinity-bridge  →  simulated Trinity
//	official conformance suite  →  trinity-bridge  →  go-sdk's everything-server, FastMCP, server-everything
//
// Each finds its own way: discovery, registration or its metadata document, sign-in and consent (the test is the
// person at the browser), tokens, tools/list, a tool call, a refresh and a call after it. Claude Code, Codex and
// Gemini CLI call the tool because a stub of their model's API on loopback tells them to. What the bridge's operator
// sees, its grants and counted events, is the proof of how each of them came in.
//
// Two build tags: e2e has the libraries and the suite, which `make e2e` runs; clients has all of them, `make clients`. Both
// install what node/package-lock.json, python/requirements-*.txt and go/go.mod pin, and nothing needs the internet after that.
//
// Neighbours: programtest runs the programs, bridgetest lends its browser; package e2e has the first line of the
// TypeScript SDK, mcp-remote and Chromium, package foreign the clients that need Go alone.
package clients
