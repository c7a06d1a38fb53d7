package bridgetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Replicas is how many replicas Start starts, on one database behind a proxy that knows no stickiness.
// 0 stands for the one process on a data folder: E2E_REPLICAS is not set.
func Replicas() int {
	n, _ := strconv.Atoi(os.Getenv("E2E_REPLICAS"))
	return n
}

// OneProcess skips a test of what belongs to one process or to its data folder.
func OneProcess(t *testing.T, why string) {
	t.Helper()
	if Replicas() > 0 {
		t.Skip("with replicas: " + why)
	}
}

// Settling is how long the other replicas take to hear of keys, verdicts and revocations: they look every second.
func Settling() time.Duration {
	if Replicas() > 0 {
		return 2 * time.Second
	}
	return 0
}

// Settle waits until they have heard.
func Settle() { time.Sleep(Settling()) }

// Times is n for each replica: what a process counts by itself comes so many times.
func Times(n int) int { return n * max(1, Replicas()) }

// NewDatabase makes an empty database on the server that E2E_POSTGRES names.
func NewDatabase(t *testing.T) string {
	t.Helper()
	server, err := url.Parse(os.Getenv("E2E_POSTGRES"))
	if err != nil || server.Host == "" {
		t.Fatal("E2E_POSTGRES names no server: make e2e-replicas does")
	}
	conn, err := pgx.Connect(t.Context(), server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	name := "e2e_" + strconv.Itoa(os.Getpid()) + "_" + strconv.FormatInt(databases.Add(1), 10)
	if _, err := conn.Exec(t.Context(), "create database "+name); err != nil {
		t.Fatal(err)
	}
	server.Path = "/" + name
	return server.String()
}

var databases atomic.Int64

// Proxy hands each connection to the next of its targets.
type Proxy struct {
	next    atomic.Int64
	mu      sync.Mutex
	targets []string
	open    map[net.Conn]bool
}

// StartBalancer is StartProxy for http: it hands each request to the next target, so that nothing is served by the
// replica that served what came before it.
func StartBalancer(t *testing.T, address string) *Proxy {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{open: map[net.Conn]bool{}}
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) // clients hang up, and replicas are killed
	onward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "replicas"
			r.Out.Header = r.In.Header.Clone() // with what tests say of where a request comes from
		},
		Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				if conn := p.dial(); conn != nil {
					return conn, nil
				}
				return nil, errors.New("no replica is there")
			},
			DisableKeepAlives: true, DisableCompression: true,
		},
		FlushInterval: -1, ErrorLog: quiet,
	}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute, ErrorLog: quiet,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// An answer that comes while the body is still on its way would have net/http close that body, and the
			// transport the connection of the answer.
			body, err := io.ReadAll(r.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			onward.ServeHTTP(w, r)
		}),
	}
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return p
}

// StartProxy listens on an address until the test ends.
func StartProxy(t *testing.T, address string) *Proxy {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{open: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.Cut()
		serving.Wait()
	})
	return p
}

// Serve replaces the targets.
func (p *Proxy) Serve(targets ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.targets = targets
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.open {
		_ = conn.Close()
	}
}

func (p *Proxy) serve(client net.Conn) {
	server := p.dial()
	if server == nil {
		_ = client.Close()
		return
	}
	p.keep(client, server)
	defer p.drop(client, server)
	var halves sync.WaitGroup
	for _, half := range [][2]net.Conn{{client, server}, {server, client}} {
		halves.Go(func() {
			_, _ = io.Copy(half[1], half[0])
			if tcp, ok := half[1].(*net.TCPConn); ok {
				_ = tcp.CloseWrite()
			}
		})
	}
	halves.Wait()
}

// dial passes over targets that are away, as a proxy with health checks does.
func (p *Proxy) dial() net.Conn {
	p.mu.Lock()
	targets := p.targets
	p.mu.Unlock()
	for range targets {
		target := targets[int(p.next.Add(1))%len(targets)]
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", target)
		if err == nil {
			return conn
		}
	}
	return nil
}

func (p *Proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.open[conn] = true
	}
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(p.open, conn)
	}
}
