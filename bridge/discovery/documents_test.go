package discovery_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
)

// nowhere is an answer that nobody keeps.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header            { return n.header }
func (n *nowhere) Write(text []byte) (int, error) { return len(text), nil }
func (n *nowhere) WriteHeader(int)                {}
func (n *nowhere) reset()                         { clear(n.header) }
func heapInUse() (stats runtime.MemStats)         { runtime.GC(); runtime.ReadMemStats(&stats); return stats }

// TestDocuments_AS001_memory: a flood of requests for the documents costs each the same and leaves nothing behind. It is
// not parallel: what others allocate would count.
func TestDocuments_AS001_memory(t *testing.T) {
	resource := bridge.Resource{URL: "https://connect.example.com/mcp", Path: "/mcp", Scopes: bridge.AllScopes()}
	documents, err := discovery.New(discovery.Settings{
		Issuer: "https://connect.example.com", Resources: bridge.Resources{resource}, ResourceName: "Trinity",
		Registration: true, ClientDocuments: true, JWKS: func() []byte { return []byte(`{"keys":[]}`) },
	})
	if err != nil {
		t.Fatal(err)
	}
	router := mux.NewRouter()
	documents.Mount(router)
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp", "/oauth/jwks"} {
		w, r := &nowhere{header: http.Header{}}, httptest.NewRequest(http.MethodGet, path, nil)
		ask := func() {
			router.ServeHTTP(w, r)
			w.reset()
		}
		first := testing.AllocsPerRun(100, ask)
		before := heapInUse()
		later := testing.AllocsPerRun(20_000, ask)
		after := heapInUse()
		if later > first {
			t.Errorf("%s: a request took %.0f allocations at first and %.0f later", path, first, later)
		}
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<10 {
			t.Errorf("%s: %d bytes stay behind", path, grown)
		}
	}
}
