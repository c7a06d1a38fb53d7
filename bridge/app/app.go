package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/store/remember"
	"github.com/abilityai/trinity-bridge/bridge/telemetry"
	"github.com/abilityai/trinity-bridge/bridge/token"
	"github.com/abilityai/trinity-bridge/federation/trinity"
)

const (
	sweepEvery = time.Minute
	sweepLimit = 1000
	drainTime  = 8 * time.Second
	callsEnd   = 6 * time.Second // into the drain, calls that still go on are ended
)

// Options are what New takes besides the configuration. Zero values are the real things.
type Options struct {
	Log  *slog.Logger
	Now  func() time.Time
	Rand io.Reader
	// MadeSecret is told where a new master secret was written.
	MadeSecret func(path string)
}

// Bridge is one deployment.
type Bridge struct {
	config *config.Config
	log    *slog.Logger
	now    func() time.Time
	rand   io.Reader

	store      *remember.Store
	storeAway  atomic.Bool // when readiness was asked for last
	deployment string      // its id
	ring       *secret.Keyring
	signer     *token.Signer
	clients    *clients.Registry
	trail      *audit.Trail
	metrics    *telemetry.Metrics
	probe      *gateway.Probe
	gateway    *gateway.Gateway
	custodian  *trinity.Custodian
	signIn     *trinity.SignIn
	linker     *trinity.Linker
	hosts      []string
	resources  bridge.Resources
	handler    http.Handler
	operator   *operator

	listener, operatorListener net.Listener
	places                     *places      // the public listener's
	certificate                *certificate // nil: who stands in front ends TLS
}

// New opens the store, unlocks it, builds the program and binds its addresses, so that whatever
// is wrong is told before anything is served. Close what it returns.
func New(ctx context.Context, cfg *config.Config, o Options) (*Bridge, error) {
	b := &Bridge{config: cfg, log: o.Log, now: o.Now, rand: o.Rand}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.now == nil {
		b.now = bridge.Now
	}
	if b.rand == nil {
		b.rand = rand.Reader
	}
	b.hosts = hosts(cfg)
	b.resources = discovery.Resources(cfg.PublicURL.String(), cfg.Tools.Profiles())
	for _, step := range []func() error{
		func() error { return b.unlock(ctx, secretMade(o.MadeSecret)) },
		func() error { return b.openStore(ctx) },
		func() error { return b.build(ctx) },
		func() error { return b.bind(ctx) },
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

// secretMade stands for whoever does not want to know that a secret was made.
func secretMade(made func(string)) func(string) {
	if made == nil {
		return func(string) {}
	}
	return made
}

// unlock makes the keyring from the configured secret, or from the data folder's secret file,
// which is made on the first start only: beside a store it would be a wrong one (OP-13). A nil made makes
// none, nor the folder.
func (b *Bridge) unlock(ctx context.Context, made func(string)) error {
	if made != nil {
		if err := os.MkdirAll(b.config.Data, 0o700); err != nil {
			return fmt.Errorf("making the data folder: %w", err)
		}
	}
	master, err := b.master(ctx, made)
	if err != nil {
		return err
	}
	masters := [][]byte{master}
	if previous := b.config.PreviousMaster; previous != nil {
		if bytes.Equal(previous, master) {
			return errors.New("the previous secret is the same as the secret: nothing was exchanged")
		}
		masters = append(masters, previous)
	}
	b.ring, err = secret.NewKeyring(masters...)
	return err
}

func (b *Bridge) master(ctx context.Context, made func(string)) ([]byte, error) {
	switch {
	case b.config.Master != nil:
		return b.config.Master, nil
	case len(b.config.MasterCommand) > 0:
		return secret.RunMasterCommand(ctx, b.config.MasterCommand)
	}
	path := b.config.SecretFile()
	_, noSecret := os.Stat(path)
	if b.config.Store != "" && errors.Is(noSecret, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no secret: with --store every replica needs the same one, given by --secret or as the file %s", path)
	}
	if _, err := os.Stat(b.storeFolder()); err == nil && errors.Is(noSecret, os.ErrNotExist) {
		return nil, fmt.Errorf("the secret file %s is gone but the store beside it is not: put the file back", path)
	}
	if made == nil && noSecret != nil {
		return nil, fmt.Errorf("there is no secret: give it by --secret, or as the file %s", path)
	}
	master, isNew, err := secret.ReadOrMakeMaster(path)
	if err == nil && isNew {
		made(path)
	}
	return master, err
}

func (b *Bridge) storeFolder() string { return filepath.Join(b.config.Data, "store") }

// openStore opens the store and makes sure that it is this deployment's.
func (b *Bridge) openStore(ctx context.Context) error {
	engine, err := b.openEngine(ctx)
	if err != nil {
		return err
	}
	store := remember.New(engine)
	b.store = store
	b.trail = audit.New(store, b.log, b.now)
	scrapes := context.WithoutCancel(ctx) // they come after the start is over
	b.metrics = telemetry.New(func() bool { return b.ready(scrapes) == nil })
	b.trail.Also(b.metrics.Event)
	return b.adopt(ctx, engine)
}

// openKeys opens the signing keys, and rotates them when that is due.
func (b *Bridge) openKeys(ctx context.Context) error {
	var err error
	b.signer, err = token.OpenSigner(ctx, b.store, b.ring, b.config.PublicURL.String(), b.now,
		token.WithKeyPolicy(token.KeyPolicy{
			Algorithm: b.config.SigningAlgorithm, Every: b.config.KeyRotation, TokenLife: b.config.AccessLifetime,
		}),
		token.WithTrail(b.trail, b.log))
	if errors.Is(err, secret.ErrOpen) {
		return fmt.Errorf("%w: nothing was changed, docs/keys.md says how to recover", err)
	}
	return err
}

// ready says why the bridge cannot do its whole job at the moment, or nil. A store that takes no writes can not, whatever
// it still serves. Where it is and who asks it is for the log alone.
func (b *Bridge) ready(ctx context.Context) error {
	err := b.store.Ping(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // nobody waits for an answer
	}
	if away := err != nil; b.storeAway.Swap(away) != away {
		if away {
			b.log.WarnContext(ctx, "the bridge is not ready: its store cannot be used", "error", err)
		} else {
			b.log.InfoContext(ctx, "the bridge's store can be used again")
		}
	}
	switch {
	case errors.Is(err, bridge.ErrReadOnly):
		return errReadOnly
	case err != nil:
		return errStoreAway
	}
	return b.probe.Ready()
}

var (
	errReadOnly  = fmt.Errorf("%w, see the log", bridge.ErrReadOnly)
	errStoreAway = errors.New("the store does not answer, see the log")
)

// Handler is the public side of the program.
func (b *Bridge) Handler() http.Handler { return b.handler }

// Addr is the public address listened on.
func (b *Bridge) Addr() string { return b.listener.Addr().String() }

// OperatorAddr is the operator's address listened on.
func (b *Bridge) OperatorAddr() string { return b.operatorListener.Addr().String() }

func (b *Bridge) bind(ctx context.Context) error {
	var listen net.ListenConfig
	public, err := listen.Listen(ctx, "tcp", b.config.Listen)
	if err != nil {
		return fmt.Errorf("the public address cannot be used (--listen): %w", err)
	}
	files, err := openFiles()
	if err != nil {
		return errors.Join(fmt.Errorf("asking how many files may be open: %w", err), public.Close())
	}
	b.places = withPlaces(public, files, b.config.TLSCert != "")
	b.listener = b.places
	if b.config.TLSCert != "" {
		if b.certificate, err = openCertificate(b.config.TLSCert, b.config.TLSKey, b.log, b.now); err != nil {
			return err
		}
	}
	if b.operatorListener, err = listen.Listen(ctx, "tcp", b.config.OperatorListen); err != nil {
		return fmt.Errorf("the operator's address cannot be used (--operator-listen): %w", err)
	}
	return b.operator.announce(b.config.Data, b.OperatorAddr())
}

// Run serves until ctx ends, then drains: requests finish, streams get a clean end. It returns
// nil after a clean drain.
func (b *Bridge) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	public, operator := b.server(background, b.handler), b.server(background, b.operator.handler)
	public.ConnState = func(conn net.Conn, state http.ConnState) {
		public.changed(conn, state)
		b.places.changed(state)
	}
	failed := make(chan error, 2)
	go func() { failed <- b.serve(public, b.listener) }()
	go func() { failed <- operator.Serve(b.operatorListener) }()

	var workers sync.WaitGroup
	for _, work := range []func(context.Context){b.trail.Run, b.probe.Run, b.signer.Run, b.lead, func(ctx context.Context) { b.clients.Run(ctx, b.log) }, giveBack} {
		workers.Go(func() { work(background) })
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(background, drainTime)
	defer cancel()
	b.gateway.Drain()
	timer := time.AfterFunc(callsEnd, b.gateway.Close)
	defer timer.Stop()
	err = errors.Join(err, public.Shutdown(drain), operator.Shutdown(drain))
	b.gateway.Close() //nolint:contextcheck // what it ends it ends by itself
	b.signIn.Wait()
	stop()
	workers.Wait()
	return err
}

// lead does what one of all replicas does.
func (b *Bridge) lead(ctx context.Context) {
	b.store.Lead(ctx, func(ctx context.Context) {
		var workers sync.WaitGroup
		for _, work := range []func(context.Context){b.custodian.Run, b.sweep} {
			workers.Go(func() { work(ctx) })
		}
		workers.Wait()
	})
}

// sweep deletes rows past their time, a bounded number at a time.
func (b *Bridge) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for {
			began := time.Now()
			n, err := b.store.Sweep(ctx, b.now(), sweepLimit)
			if ctx.Err() != nil {
				return
			}
			b.metrics.Job("sweep", n, time.Since(began), err)
			if err != nil {
				b.log.WarnContext(ctx, "sweeping failed", "error", err)
			}
			if err != nil || n < sweepLimit {
				break
			}
		}
	}
}

// Close releases addresses and store. It is safe after a failed New.
func (b *Bridge) Close() error {
	var errs []error
	for _, listener := range []net.Listener{b.listener, b.operatorListener} {
		if listener != nil {
			if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if b.operator != nil {
		b.operator.withdraw()
	}
	if b.store != nil {
		errs = append(errs, b.store.Close())
	}
	return errors.Join(errs...)
}

// hosts are the Host headers served: the public one, the configured ones, and on loopback its
// other spellings.
func hosts(cfg *config.Config) []string {
	host, port := strings.ToLower(cfg.PublicURL.Hostname()), cfg.PublicURL.Port()
	all := append([]string{cfg.PublicURL.Host}, cfg.AllowedHosts...)
	if port == "" {
		all = append(all, host+map[string]string{"https": ":443", "http": ":80"}[cfg.PublicURL.Scheme])
	}
	if cfg.PublicURL.Scheme == "http" { // loopback, by the configuration's rule
		for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
			all = append(all, net.JoinHostPort(name, port))
		}
	}
	return all
}
