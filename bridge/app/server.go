package app

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxHeader    = 64 << 10
	headerTime   = 5 * time.Second
	idleConnTime = 2 * time.Minute
)

// server knows which of its connections have carried no request yet: browsers and balancers open some ahead. Once it
// stops it would answer none of them, so it closes them; Shutdown by itself waits 5 s for each.
type server struct {
	http.Server
	silent   sync.Map // net.Conn -> nothing
	stopping atomic.Bool
}

func (b *Bridge) server(base context.Context, handler http.Handler) *server {
	s := &server{Server: http.Server{
		Handler: handler, ReadHeaderTimeout: headerTime, IdleTimeout: idleConnTime, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
	}}
	s.ConnState = s.changed
	s.RegisterOnShutdown(s.closeSilent)
	return s
}

func (s *server) changed(conn net.Conn, state http.ConnState) {
	if state != http.StateNew {
		s.silent.Delete(conn)
		return
	}
	s.silent.Store(conn, nil)
	if s.stopping.Load() {
		_ = conn.Close()
	}
}

func (s *server) closeSilent() {
	s.stopping.Store(true)
	s.silent.Range(func(conn, _ any) bool {
		_ = conn.(net.Conn).Close() //nolint:errcheck // there is nothing else in it
		return true
	})
}

func (b *Bridge) serve(s *server, listener net.Listener) error {
	if b.certificate == nil {
		return s.Serve(listener)
	}
	s.TLSConfig = &tls.Config{GetCertificate: b.certificate.get, MinVersion: tls.VersionTLS12}
	return s.ServeTLS(listener, "", "")
}
