package bridge

// Resource is an MCP endpoint: what an access token is for (RFC 8707). A token for one opens no other.
type Resource struct {
	URL     string // canonical: a token's audience, byte for byte
	Path    string // of URL
	Profile string // the tool set served there; "" for the one at the connector's own address
	Title   string // the operator's words for the tool set; "" for those of every deployment
	Scopes  Scopes // the most a grant for it can carry
}

// Baseline are the scopes that challenges and metadata of the resource ask for.
func (r Resource) Baseline() Scopes { return BaselineScopes().Intersect(r.Scopes) }

// Resources are the endpoints of a deployment. The first is the one that is meant where none is named.
type Resources []Resource

// Default is the resource that is meant where a client names none.
func (r Resources) Default() Resource { return r[0] }

// Of finds a resource by its URL.
func (r Resources) Of(url string) (Resource, bool) {
	for _, resource := range r {
		if resource.URL == url {
			return resource, true
		}
	}
	return Resource{}, false
}
