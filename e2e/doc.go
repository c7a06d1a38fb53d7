// Package e2e drives the built program with clients, a browser and an upstream that others wrote.
//
//	TypeScript SDK, mcp-remote, oauth4webapi  →  trinity-bridge  →  simulated Trinity, or a real FastMCP server
//	headless Chromium, or a small form-filling browser, signs in and decides
//
// Everything runs as its own process and meets over loopback only; the tests know the program by its command
// line, its environment, its printed lines and the wire. They are behind the build tag e2e because they
// need Node, Chromium and the packages pinned in node/package-lock.json: `make e2e` installs those and
// runs them. Clients that need Go alone are in package foreign, more libraries and programs in package clients;
// programtest is what runs them all.
//
// After each walk the secrets that the clients were given are looked for where they must not be: in what
// the program printed, in the pages it served, in its data folder and at the upstream.
package e2e
