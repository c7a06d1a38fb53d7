package outbound_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest/strangers"
)

const small = 5 << 10

func get(t *testing.T, g *outbound.Guard, address string) (*outbound.Answer, error) {
	t.Helper()
	return g.Get(t.Context(), outbound.Fetch{URL: address, MaxBytes: small})
}

// wantForbidden wants a fetch to be refused before anything is dialled.
func wantForbidden(t *testing.T, w *strangers.World, g *outbound.Guard, address string) {
	t.Helper()
	answer, err := get(t, g, address)
	if !errors.Is(err, outbound.ErrForbidden) || answer != nil {
		t.Errorf("%s: %v, %v, want it forbidden", address, answer, err)
	}
	if dials := w.Dials(); len(dials) > 0 {
		t.Errorf("%s: dialled %v", address, dials)
	}
}

func TestGuard_addresses(t *testing.T) {
	t.Parallel()
	for id, addresses := range innerAddresses(t) {
		for _, address := range addresses {
			t.Run(id+" "+address, func(t *testing.T) {
				t.Parallel()
				w := strangers.New(t)
				g := w.Guard(t, nil)
				w.Resolve("app.example.com", address)
				wantForbidden(t, w, g, "https://app.example.com/client.json")
				literal := address
				if strings.Contains(address, ":") {
					literal = "[" + strings.ReplaceAll(address, "%", "%25") + "]"
				}
				wantForbidden(t, w, g, "https://"+literal+"/client.json")
			})
		}
	}
	t.Run("CM-06/mapped, though public", func(t *testing.T) {
		t.Parallel()
		w := strangers.New(t)
		wantForbidden(t, w, w.Guard(t, nil), "https://[::ffff:8.8.8.8]/client.json")
	})
	t.Run("resolvers that give IPv4 as mapped", func(t *testing.T) {
		t.Parallel()
		w := strangers.New(t)
		w.Host(t, "app.example.com").JSON("{}")
		w.Resolve("app.example.com", "::ffff:"+w.Addresses("app.example.com")[0].String())
		if answer, err := get(t, w.Guard(t, nil), "https://app.example.com/client.json"); err != nil || answer.Status != http.StatusOK {
			t.Errorf("%v, %v", answer, err)
		}
	})
}

func TestGuard_names(t *testing.T) {
	t.Parallel()
	w := strangers.New(t)
	w.Host(t, "app.example.com").JSON("{}")
	g := w.Guard(t, func(o *outbound.GuardOptions) {
		o.OwnHosts = []string{"Connect.example.com", "mcp-server", "127.0.0.1", "[2001:4860::1]"}
	})
	tests := map[string][]string{
		"AS-097/no https":     {"http://app.example.com/c", "ftp://app.example.com/c", "//app.example.com/c", "app.example.com/c", "https:///c", "https:app.example.com/c"},
		"AS-097/more":         {"https://u@app.example.com/c", "https://u:p@app.example.com/c", "https://app.example.com/c#x", "https://app.example.com:x/c"},
		"CM-10/one label":     {"https://backend/c", "https://localhost/c", "https://redis/c"},
		"CM-10/inner names":   {"https://x.localhost/c", "https://printer.local/c", "https://metadata.google.internal/c", "https://a.svc.cluster.local/c", "https://nas.home.arpa/c", "https://x.lan/c", "https://x.test/c"},
		"CM-10/in capitals":   {"https://LOCALHOST/c", "https://Metadata.Google.Internal/c"},
		"CM-10/dots":          {"https://app.example.com./c", "https://localhost./c", "https://.app.example.com/c", "https://app..example.com/c"},
		"CM-10/odd addresses": {"https://127.1/c", "https://2130706433/c", "https://0x7f.0.0.1/c", "https://0177.0.0.1/c", "https://127.0.0.1.0x1/c"},
		"CM-10/not ASCII":     {"https://\u24dbocalhost/c", "https://127\u30020\u30020\u30021/c", "https://b\u00fccher.example.com/c"},
		"CM-11/own hosts":     {"https://connect.example.com/c", "https://CONNECT.example.com/c", "https://mcp-server/c", "https://127.0.0.1/c", "https://[2001:4860::1]/c"},
		"CM-12/ports":         {"https://app.example.com:22/c", "https://app.example.com:6379/c", "https://app.example.com:8443/c", "https://app.example.com:80/c", "https://app.example.com:0/c", "https://app.example.com:65979/c"},
	}
	for id, addresses := range tests {
		for _, address := range addresses {
			t.Run(id+" "+address, func(t *testing.T) {
				t.Parallel()
				wantForbidden(t, w, g, address)
			})
		}
	}
	t.Run("nothing was looked up", func(t *testing.T) {
		t.Parallel()
		if lookups := w.Lookups(); len(lookups) > 0 {
			t.Errorf("looked up %v", lookups)
		}
	})
}

// CM-08: all of a name's addresses have to be public, wherever the inner one stands.
func TestGuard_CM08_oneOfSeveral(t *testing.T) {
	t.Parallel()
	w := strangers.New(t)
	w.Host(t, "app.example.com").JSON("{}")
	public := w.Addresses("app.example.com")[0].String()
	g := w.Guard(t, nil)
	for _, addresses := range [][]string{{public, "10.0.0.1"}, {"10.0.0.1", public}, {public, public, "8.8.8.8", "8.8.4.4", "1.1.1.1", "::1"}} {
		w.Resolve("app.example.com", addresses...)
		wantForbidden(t, w, g, "https://app.example.com/c")
	}
	w.Resolve("app.example.com", "8.8.8.8", public) // the first one is a closed port: the next is tried
	if _, err := get(t, g, "https://app.example.com/c"); err != nil {
		t.Error(err)
	}
	dialled := len(w.Dials())
	w.Resolve("app.example.com", "2606:4700::1", "2606:4700::2", "2606:4700::3", "2606:4700::4", "2606:4700::5", public)
	if _, err := get(t, g, "https://app.example.com/c"); err != nil || len(w.Dials()) != dialled+3 {
		t.Errorf("one family leads nowhere: %v, %v", err, w.Dials())
	}
	w.Resolve("app.example.com")
	if _, err := get(t, g, "https://app.example.com/c"); !errors.Is(err, outbound.ErrUnreachable) {
		t.Errorf("no address: %v", err)
	}
}

// CM-09, AS-105: what was checked is what is dialled, and a name is looked up once for each fetch.
func TestGuard_CM09_rebinding(t *testing.T) {
	t.Parallel()
	w := strangers.New(t)
	host := w.Host(t, "app.example.com")
	g := w.Guard(t, nil)
	host.Serve(func(rw http.ResponseWriter, _ *http.Request) {
		w.Resolve("app.example.com", "127.0.0.1") // as soon as the first lookup is done
		_, _ = rw.Write([]byte("{}"))
	})
	public := w.Addresses("app.example.com")[0]
	if _, err := get(t, g, "https://app.example.com/c"); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, g, "https://app.example.com/c"); !errors.Is(err, outbound.ErrForbidden) {
		t.Errorf("after the name moved inside: %v", err)
	}
	if diff := cmp.Diff([]string{netip.AddrPortFrom(public, 443).String()}, w.Dials()); diff != "" {
		t.Errorf("dials (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"app.example.com.", "app.example.com."}, w.Lookups()); diff != "" {
		t.Errorf("CM-10, lookups past search domains (-want +got):\n%s", diff)
	}
}

// CM-07: the system call is asked too, for the case that an address gets past the first lock.
func TestGuard_CM07_dialControl(t *testing.T) {
	t.Parallel()
	canary, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	touched := make(chan struct{}, 1)
	go func() {
		if conn, err := canary.Accept(); err == nil {
			_ = conn.Close()
			touched <- struct{}{}
		}
	}()
	t.Cleanup(func() { _ = canary.Close() })
	port := uint16(canary.Addr().(*net.TCPAddr).Port)
	strict := outbound.NewGuard(outbound.GuardOptions{Ports: []uint16{port}})
	if _, err := strict.DialAddress(t.Context(), canary.Addr().String()); err == nil {
		t.Error("an inner address was dialled")
	}
	otherPort := outbound.NewGuard(outbound.GuardOptions{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if _, err := otherPort.DialAddress(t.Context(), canary.Addr().String()); err == nil {
		t.Error("CM-12: another port was dialled")
	}
	select {
	case <-touched:
		t.Error("the canary was touched")
	default:
	}
}

func TestGuard_AS116_CM31_request(t *testing.T) {
	t.Parallel()
	w := strangers.New(t)
	host := w.Host(t, "app.example.com")
	host.JSON(`{"a":1}`, "Set-Cookie", "id=1")
	g := w.Guard(t, nil)
	for range 2 {
		answer, err := get(t, g, "https://app.example.com:443/path/c.json?q=1")
		if err != nil || answer.Status != http.StatusOK || string(answer.Body) != `{"a":1}` {
			t.Fatalf("%v, %v", answer, err)
		}
	}
	sent := host.Last()
	want := http.Header{
		"Accept": {"application/json"}, "Accept-Encoding": {"identity"}, "User-Agent": {"trinity-bridge"}, "Connection": {"close"},
	}
	if diff := cmp.Diff(want, sent.Header); diff != "" {
		t.Errorf("AS-116, CM-22, header (-want +got):\n%s", diff)
	}
	if sent.Proto != "HTTP/1.1" || sent.Method != http.MethodGet || sent.URL.RequestURI() != "/path/c.json?q=1" {
		t.Errorf("%s %s %s", sent.Method, sent.URL.RequestURI(), sent.Proto)
	}
	if dials := w.Dials(); len(dials) != 2 {
		t.Errorf("CM-31: %d connections for two fetches", len(dials))
	}
}

// AS-099: a redirect is an answer, and leads nowhere.
func TestGuard_AS099_redirects(t *testing.T) {
	t.Parallel()
	w := strangers.New(t)
	target := w.Host(t, "target.example.com")
	target.JSON("{}")
	host := w.Host(t, "app.example.com")
	g := w.Guard(t, nil)
	for _, status := range []int{301, 302, 303, 307, 308} {
		host.Serve(func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "https://target.example.com/c", status)
		})
		answer, err := get(t, g, "https://app.example.com/c")
		if err != nil || answer.Status != status {
			t.Errorf("%d: %v, %v", status, answer, err)
		}
	}
	if target.Hits() > 0 {
		t.Error("a redirect was followed")
	}
}

// CM-30: the environment names no proxy for this client.
func TestGuard_CM30_proxyEnvironment(t *testing.T) {
	var touched atomic.Bool
	w := strangers.New(t)
	proxy := w.Host(t, "proxy.example.com")
	proxy.Serve(func(http.ResponseWriter, *http.Request) { touched.Store(true) })
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "https://proxy.example.com")
	}
	w.Host(t, "app.example.com").JSON("{}")
	if answer, err := get(t, w.Guard(t, nil), "https://app.example.com/c"); err != nil || answer.Status != http.StatusOK {
		t.Errorf("%v, %v", answer, err)
	}
	if touched.Load() {
		t.Error("the proxy was asked")
	}
}

func TestGuard_networks(t *testing.T) {
	t.Parallel()
	w := strangers.New(t)
	g := w.Guard(t, func(o *outbound.GuardOptions) {
		o.Networks = []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}
	})
	for address, forbidden := range map[string]bool{"10.20.1.1": false, "fd00:1::1": false, "10.21.1.1": true, "fd00:2::1": true, "127.0.0.1": true} {
		w.Resolve("app.example.com", address)
		_, err := get(t, g, "https://app.example.com/c") // nobody listens there
		if errors.Is(err, outbound.ErrForbidden) != forbidden || err == nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestGuard_CM24_oneFlight(t *testing.T) {
	t.Parallel()
	w := strangers.New(t)
	host := w.Host(t, "app.example.com")
	release := make(chan struct{})
	host.Serve(func(rw http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = rw.Write([]byte("{}"))
	})
	g := w.Guard(t, nil)
	first, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := g.Get(first, outbound.Fetch{URL: "https://app.example.com/c", MaxBytes: small})
		left <- err
	}()
	for host.Hits() == 0 {
		time.Sleep(time.Millisecond)
	}
	var done sync.WaitGroup
	var failed atomic.Int64
	for range 1000 {
		done.Go(func() {
			if _, err := g.Get(t.Context(), outbound.Fetch{URL: "https://app.example.com/c", MaxBytes: small}); err != nil {
				failed.Add(1)
			}
		})
	}
	for stacks := make([]byte, 8<<20); strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "(*Guard).Get(") < 1001; {
		time.Sleep(10 * time.Millisecond)
	}
	leave() // who asked first goes away; the fetch goes on for the others
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(release)
	done.Wait()
	if failed.Load() > 0 || host.Hits() > 2 {
		t.Errorf("%d of 1,000 failed, %d fetches", failed.Load(), host.Hits())
	}
}

func TestGuard_CM24_inFlight(t *testing.T) {
	t.Parallel()
	w := strangers.New(t)
	release := make(chan struct{})
	var inside atomic.Int64
	for i := range 30 {
		w.Host(t, fmt.Sprintf("app-%d.example.com", i)).Serve(func(rw http.ResponseWriter, _ *http.Request) {
			inside.Add(1)
			<-release
			_, _ = rw.Write([]byte("{}"))
		})
	}
	g := w.Guard(t, func(o *outbound.GuardOptions) { o.Timeout = time.Minute })
	results := make(chan error, 30)
	for i := range 30 {
		go func() {
			_, err := g.Get(t.Context(), outbound.Fetch{URL: fmt.Sprintf("https://app-%d.example.com/c", i), MaxBytes: small})
			results <- err
		}()
	}
	for range 10 {
		if err := <-results; !errors.Is(err, outbound.ErrBusy) {
			t.Errorf("beyond twenty: %v", err)
		}
	}
	close(release)
	for range 20 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if inside.Load() != 20 {
		t.Errorf("%d fetches arrived", inside.Load())
	}
}

// innerAddresses are those of testdata/inner-addresses.txt by their case.
func innerAddresses(t testing.TB) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("testdata/inner-addresses.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if id, address, found := strings.Cut(strings.TrimSpace(line), "\t"); found {
			all[id] = append(all[id], address)
		}
	}
	if len(all) == 0 {
		t.Fatal("the corpus is empty")
	}
	return all
}

// specialUse is what of the address space is nobody's public host, from the registries of IANA. Of IPv6 all but 2000::/3
// is, too.
var specialUse = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:db8::/32", "2002::/16", "3fff::/20",
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// FuzzGuard_CM06: no spelling of an address that is not public passes, with an IPv4 address inside or without.
func FuzzGuard_CM06_addresses(f *testing.F) {
	for _, addresses := range innerAddresses(f) {
		for _, address := range addresses {
			f.Add(address)
		}
	}
	for _, public := range []string{"8.8.8.8", "2606:4700::1111", "[2606:4700::1]", "::ffff:8.8.8.8", "0x7f.1", "8.8.8.8%1", "127.1"} {
		f.Add(public)
	}
	guard := outbound.NewGuard(outbound.GuardOptions{})
	f.Fuzz(func(t *testing.T, address string) {
		if guard.Safe(net.JoinHostPort(strings.Trim(address, "[]"), "443")) != nil {
			return
		}
		read, err := netip.ParseAddr(strings.Trim(address, "[]"))
		if err != nil {
			t.Fatalf("%q is no address and passes", address)
		}
		if read.Is6() && !netip.MustParsePrefix("2000::/3").Contains(read.WithZone("")) {
			t.Fatalf("%q passes", address)
		}
		for _, prefix := range specialUse {
			if prefix.Contains(read.Unmap().WithZone("")) {
				t.Fatalf("%q, of %v, passes", address, prefix)
			}
		}
	})
}
