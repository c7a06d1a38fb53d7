package outbound_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
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
	tests := map[string][]string{
		"CM-03/loopback, this network": {"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "::1", "::"},
		"CM-04/inner IPv4": {
			"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.255", "169.254.169.254", "169.254.170.2",
			"198.18.0.1", "198.19.255.255", "192.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.250",
			"240.0.0.1", "255.255.255.255",
		},
		"CM-05/inner IPv6": {
			"fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001:db8::1", "3fff::1", "5f00::1", "100::1", "4000::1",
		},
		"CM-06/IPv4 inside": {
			"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1",
			"64:ff9b:1:abcd::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::", "2001::1", "::ffff:0:127.0.0.1",
		},
	}
	for id, addresses := range tests {
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
	strict, err := outbound.NewGuard(outbound.GuardOptions{Ports: []uint16{port}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strict.DialAddress(t.Context(), canary.Addr().String()); err == nil {
		t.Error("an inner address was dialled")
	}
	otherPort, err := outbound.NewGuard(outbound.GuardOptions{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
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
	var started, done sync.WaitGroup
	var failed atomic.Int64
	for range 1000 {
		started.Add(1)
		done.Go(func() {
			started.Done()
			if _, err := g.Get(t.Context(), outbound.Fetch{URL: "https://app.example.com/c", MaxBytes: small}); err != nil {
				failed.Add(1)
			}
		})
	}
	started.Wait()
	leave() // who asked first goes away; the fetch goes on for the others
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	time.Sleep(50 * time.Millisecond) // the last of the thousand join; a late one would only fetch again
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
