package gateway

import (
	"net/http"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

// endpoint is one resource with its tools, and what is the same for every request to it. A request
// knows its endpoint from the route, so nothing is looked up by path.
type endpoint struct {
	g          *Gateway
	resource   bridge.Resource
	profile    *tools.Profile
	challenges challenges
}

func (g *Gateway) endpoints() []*endpoint {
	var all []*endpoint
	for _, resource := range discovery.Resources(g.Issuer, g.Tools.Profiles()) {
		profile, _ := g.Tools.Profile(resource.Profile) // it is one of them
		all = append(all, &endpoint{g: g, resource: resource, profile: profile, challenges: newChallenges(g.Issuer, resource, g.Proofs != nil)})
	}
	return all
}

// Before puts the endpoints before the rest of the program, so that calls need not be routed among
// pages. They are served with and without a slash at their ends: a redirect would cost a client its
// Authorization field or turn its POST into a GET (B72).
func (g *Gateway) Before(next http.Handler) http.Handler {
	served := map[string]*endpoint{}
	for _, e := range g.endpoints() {
		served[e.resource.Path], served[e.resource.Path+"/"] = e, e
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e := served[r.URL.Path]; e != nil {
			e.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP serves one request. Host and request id are the business of whoever stands in front.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{g: e.g, at: e, w: w, control: http.NewResponseController(w), r: r, reference: audit.RequestID(r.Context())}
	if x.reference != "" {
		x.named = []string{x.reference}
	}
	x.run() //nolint:contextcheck // the exchange carries the request and with it the context
}

// view is the tools as the caller may see and use them.
func (x *exchange) view() tools.View {
	return tools.View{
		Catalogue: x.g.Tools, Profile: x.at.profile, Scopes: x.who.scopes, ActingAs: x.who.grant.ActingAs.Kind, Static: x.who.static,
	}
}
