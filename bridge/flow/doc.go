// Package flow carries one authorization request from /oauth/authorize to its code.
//
// Begin stores the request and binds it to the browser with a cookie of its own; every later
// page asks Current or Posted for the flow of its request and gets it only in that browser;
// URL is the dispatcher: from the stored step it says which page is next. Steps never call each
// other: they change the stored flow and send the browser to URL.
//
//	oauth.authorize → Begin → URL → federation steps → URL → consent → TakeExit → client
//
// A visit is a flow that no client asked for: it ends at the person's own connections, whose page knows
// it by a cookie of its own.
//
//	/connections/sign-in → BeginVisit → URL → federation steps → URL → Arrive → Visit
//
// Neighbours: oauth begins flows, federation and consent move them, the store keeps them.
package flow
