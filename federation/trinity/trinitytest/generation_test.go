package trinitytest_test

import (
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// What each generation answers, contract §4.4 and what was measured beside it.
func TestGenerations(t *testing.T) {
	t.Parallel()
	const (
		missing   = `{"error":{"code":-32000,"message":"Missing or invalid Authorization header"},"id":1,"jsonrpc":"2.0"}`
		invalid   = `{"error":{"code":-32000,"message":"Invalid API key"},"id":1,"jsonrpc":"2.0"}`
		notFound  = `{"error":{"code":-32001,"message":"Session not found"},"id":null,"jsonrpc":"2.0"}`
		noSession = `{"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null,"jsonrpc":"2.0"}`
		plain     = "Error creating server"
		bearer    = `Bearer error="invalid_token", error_description=`
	)
	unauthorized := func(id string) string {
		return `{"error":{"code":-32000,"message":"Unauthorized: No valid session ID provided"},"id":` + id + `,"jsonrpc":"2.0"}`
	}
	tests := []struct {
		generation trinitytest.Generation

		noKey, badKey     answer // on initialize
		lowerCase         answer // initialize with "bearer <key>"
		sessionless       answer // tools/list
		batchOfInitialize answer
		unknownPOST       answer
		noGET, noDELETE   answer // without session
		unknownGET        answer
		badKeyPOST        int // in an open session
		badKeyGET         int
		runsAs            string // bob's call in alice's session
	}{
		{
			generation:  trinitytest.Proxy5_12_5,
			noKey:       answer{500, nil, plain},
			badKey:      answer{500, nil, plain},
			lowerCase:   answer{500, nil, plain},
			sessionless: answer{400, nil, noSession}, batchOfInitialize: answer{400, nil, noSession},
			unknownPOST: answer{404, nil, notFound},
			noGET:       answer{400, nil, "No sessionId"}, noDELETE: answer{400, nil, "Invalid or missing sessionId"},
			unknownGET: answer{400, nil, "No active transport"},
			badKeyPOST: 200, badKeyGET: 200, runsAs: alice,
		},
		{
			generation:  trinitytest.Proxy6_5_1,
			noKey:       answer{401, nil, missing},
			badKey:      answer{401, nil, invalid},
			lowerCase:   answer{401, nil, missing},
			sessionless: answer{400, nil, noSession}, batchOfInitialize: answer{400, nil, noSession},
			unknownPOST: answer{404, nil, notFound},
			noGET:       answer{400, nil, "No sessionId"}, noDELETE: answer{400, nil, "Invalid or missing sessionId"},
			unknownGET: answer{400, nil, "No active transport"},
			badKeyPOST: 401, badKeyGET: 200, runsAs: bob,
		},
		{
			generation:  "", // the newest
			noKey:       answer{401, challenge(bearer + `"Missing or invalid Authorization header"`), missing},
			badKey:      answer{401, challenge(bearer + `"Invalid API key"`), invalid},
			lowerCase:   answer{401, challenge(bearer + `"Missing or invalid Authorization header"`), missing},
			sessionless: answer{401, challenge(bearer + `"Unauthorized: No valid session ID provided"`), unauthorized("3")},
			batchOfInitialize: answer{
				401, challenge(bearer + `"Unauthorized: No valid session ID provided"`), unauthorized("null"),
			},
			unknownPOST: answer{404, nil, notFound},
			noGET:       answer{401, challenge(bearer + `"Unauthorized: No valid session ID provided"`), unauthorized("null")},
			noDELETE:    answer{401, challenge(bearer + `"Unauthorized: No valid session ID provided"`), unauthorized("null")},
			unknownGET:  answer{404, nil, notFound},
			badKeyPOST:  401, badKeyGET: 401, runsAs: bob,
		},
	}
	for _, tt := range tests {
		name := strings.TrimPrefix(string(tt.generation), "mcp-proxy ")
		t.Run("4.4/"+name, func(t *testing.T) {
			t.Parallel()
			y := start(t, with(func(s *trinitytest.Switches) { s.Generation = tt.generation }))
			key, bobs := y.key(alice, "a", "user", ""), y.key(bob, "b", "user", "")
			check := func(row string, got, want answer) {
				t.Helper()
				t.Run(row, func(t *testing.T) {
					got.wantBody(t, want.status, want.body)
					got.wantHeader(t, "WWW-Authenticate", want.header.Get("WWW-Authenticate"))
				})
			}
			lower := header{"Accept", both, "Content-Type", "application/json", "Authorization", "bearer " + key}
			check("no key", y.mcp("POST", "", "", initialize), tt.noKey)
			check("bad key", y.mcp("POST", "trinity_mcp_bad", "", initialize), tt.badKey)
			check("lower-case scheme", y.send("POST", y.MCPURL(), lower, initialize), tt.lowerCase)
			check("no session", y.mcp("POST", key, "", toolsList), tt.sessionless)
			check("batch of initialize", y.mcp("POST", key, "", "["+initialize+"]"), tt.batchOfInitialize)
			check("unreadable without session", y.mcp("POST", key, "", "{"), answer{400, nil, noSession})
			check("unknown session", y.mcp("POST", key, strangerID, toolsList), tt.unknownPOST)
			check("GET without session", y.mcp("GET", key, "", ""), tt.noGET)
			check("DELETE without session", y.mcp("DELETE", key, "", ""), tt.noDELETE)
			check("GET of unknown session", y.mcp("GET", key, strangerID, ""), tt.unknownGET)
			check("DELETE of unknown session", y.mcp("DELETE", key, strangerID, ""), tt.unknownGET)

			session := y.openSession(key)
			y.mcp("POST", "trinity_mcp_bad", session, toolsList).want(t, tt.badKeyPOST)
			if got := y.open(t.Context(), "GET", y.MCPURL(), mcpHeader("GET", "trinity_mcp_bad", session), "").StatusCode; got != tt.badKeyGET {
				t.Errorf("GET with a bad key: %d, want %d", got, tt.badKeyGET)
			}
			ran, _ := text(t, y.call(bobs, session, "list_agents", "{}"))
			if got := decode(t, ran)["username"]; got != tt.runsAs {
				t.Errorf("another's key ran as %v, want %s", got, tt.runsAs)
			}
			y.mcp("DELETE", key, session, "").want(t, 200)
			check("after DELETE", y.mcp("POST", key, session, toolsList), tt.unknownPOST)
		})
	}
}

func challenge(text string) map[string][]string {
	return map[string][]string{"Www-Authenticate": {text}}
}

func TestGenerations_headers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		generation              trinitytest.Generation
		contentType, cache, buf string
		credentials             string
		refusalType             string
		primed                  int // events before the answer to an initialize of 2025-11-25
		unknownVersion          string
	}{
		{trinitytest.Proxy5_12_5, "text/event-stream", "no-cache", "", "true", "", 1, "Unsupported protocol version (supported versions: "},
		{trinitytest.Proxy6_5_1, "text/event-stream", "no-cache", "", "true", "application/json", 1, "Unsupported protocol version: 1999-01-01 (supported versions: "},
		{
			trinitytest.Proxy6_7_19, "text/event-stream; charset=utf-8", "no-cache, no-transform", "no", "", "application/json; charset=utf-8", 0,
			"Unsupported protocol version: 1999-01-01 (supported versions: ",
		},
	}
	for _, tt := range tests {
		t.Run("4.5/"+string(tt.generation), func(t *testing.T) {
			t.Parallel()
			y := start(t, with(func(s *trinitytest.Switches) { s.Generation = tt.generation }))
			key := y.key(alice, "a", "user", "")
			a := y.mcp("POST", key, "", strings.Replace(initialize, "2025-06-18", "2025-11-25", 1), "Origin", "https://evil.example")
			a.want(t, 200)
			a.wantHeader(t, "Content-Type", tt.contentType)
			a.wantHeader(t, "Cache-Control", tt.cache)
			a.wantHeader(t, "X-Accel-Buffering", tt.buf)
			a.wantHeader(t, "Access-Control-Allow-Origin", "*")
			a.wantHeader(t, "Access-Control-Allow-Methods", "GET, POST, OPTIONS")
			a.wantHeader(t, "Access-Control-Allow-Credentials", tt.credentials)
			a.wantHeader(t, "Access-Control-Expose-Headers", "Mcp-Session-Id")
			if got := len(events(t, strings.NewReader(a.body), every)); got != tt.primed+1 {
				t.Errorf("%d events, want %d: %s", got, tt.primed+1, a.body)
			}
			session := a.header.Get("Mcp-Session-Id")
			refused := y.mcp("POST", key, session, toolsList, "MCP-Protocol-Version", "1999-01-01")
			refused.want(t, 400)
			refused.wantHeader(t, "Content-Type", tt.refusalType)
			refused.wantHeader(t, "Access-Control-Allow-Origin", "")
			if !strings.Contains(refused.body, tt.unknownVersion) {
				t.Errorf("body %s", refused.body)
			}
		})
	}
}
