package trinitytest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// reopenPatience is how long a door waits for its address to be free again. Another process may hold
// the port for a moment while it is shut.
const reopenPatience = 5 * time.Second

// door is one side's listener. It can be shut, which really refuses connections and cuts those that are
// open, and opened again on the same address.
type door struct {
	name    string
	handler http.Handler
	log     *slog.Logger

	mu      sync.Mutex
	addr    string // what to listen on; from the first opening on, the address in use
	fixed   bool   // addr is the address in use
	opening *opening
}

// opening is one stretch of time during which the door is open.
type opening struct {
	server  *http.Server
	served  chan struct{} // closed when Serve has returned
	callers *crowd
}

// open starts to listen; opening an open door does nothing.
func (d *door) open() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opening != nil {
		return nil
	}
	listener, err := d.listen()
	if err != nil {
		return err
	}
	d.addr, d.fixed = listener.Addr().String(), true
	o := &opening{served: make(chan struct{}), callers: newCrowd()}
	o.server = &http.Server{
		Handler:           o.counting(d.handler),
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
	d.opening = o
	go func() {
		defer close(o.served)
		if err := o.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("simulated Trinity stopped serving", "side", d.name, "error", err)
		}
	}()
	return nil
}

func (d *door) listen() (net.Listener, error) {
	var config net.ListenConfig
	giveUp := time.Now().Add(reopenPatience)
	for {
		listener, err := config.Listen(context.Background(), "tcp", d.addr)
		if err == nil {
			return listener, nil
		}
		if !d.fixed || time.Now().After(giveUp) {
			return nil, fmt.Errorf("listening on %s for Trinity's %s: %w", d.addr, d.name, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// shut refuses new connections, cuts open ones and returns when no handler runs any more.
func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opening == nil {
		return
	}
	if err := d.opening.server.Close(); err != nil {
		d.log.Debug("closing simulated Trinity", "side", d.name, "error", err)
	}
	<-d.opening.served
	d.opening.callers.closeAndWait()
	d.opening = nil
}

// address is host:port, the same for all openings.
func (d *door) address() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.addr
}

// counting makes shut wait for handlers, which http.Server.Close does not.
func (o *opening) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !o.callers.enter() {
			panic(http.ErrAbortHandler)
		}
		defer o.callers.leave()
		next.ServeHTTP(w, r)
	})
}
