package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/cmd/internal/version"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

// serving are the settings of a service.
type serving struct {
	opening
	listen   string
	signing  string
	cert     string
	certKey  string
	clientCA string
	// clientRevoked is the file of what is not good any more, which revoked has read.
	clientRevoked string
	revoked       *feed.Revoked
	log           *slog.Logger
	// downloads is how many snapshots go out at a time.
	downloads int
	relaying
	keeping
	// What explanations and decisions go by, beside the registry's own lists.
	provider, mainland string
	policies           []string
	// admin is where metrics, health and verdicts are told to who runs the service.
	admin    string
	profiles bool
	// snapshots is how often one is made at least.
	snapshots time.Duration
}

// center is what brings revisions to the hub that is served.
type center interface {
	Hub() *feed.Hub
	Run(context.Context) // until the context ends
	Connected() bool     // revisions come
	Close() error
}

func serveCommand(e env) *cobra.Command {
	s := serving{opening: opening{env: e}}
	cmd := &cobra.Command{
		Use:   "serve --dir DIRECTORY",
		Short: "Serve the registry of record to edges and people",
		Long: `Keeps the registry of record and serves it over HTTP: the feed that edges follow,
coverages for those that ask name by name, verdicts and their explanations, how the
edges are, and a description of all that (/openapi.json).

Everything but /healthz and /readyz needs a token ("icp-registry token create") or,
with --client-ca, a client's certificate, which counts as that of an edge, unless
--client-revoked names it. What is open ends within ten seconds then. Without
--cert the service listens on loopback only: tokens and the key of snapshots would
go over the net in the clear.

The first start makes the database, the keys and the first snapshot. What edges
need is the public key, ` + publicName + ` in the directory:

  icp {
      registry https://registry.example token token.txt key ` + publicName + `
  }

With --upstream the service is a relay: it follows another service and serves its
snapshots and its feed to edges of its own, byte for byte and under the same
signatures, and hands their sightings and statuses on. Its edges pin the key of the
registry of record, as the relay does (--upstream-key), and show tokens that were
made at the relay (--dir). Nothing is changed there: the registry of record is
elsewhere. While upstream is away, a relay serves what it has.`,
		Example: `  icp-registry serve --dir /var/lib/icp-registry --listen :8443 --cert cert.pem --key key.pem
  icp-registry serve --dir ./registry --listen 127.0.0.1:8080
  icp-registry serve --dir /var/lib/icp-relay --listen :8443 --cert cert.pem --key key.pem \
      --upstream https://registry.example --upstream-key signing.pub.pem --upstream-token token.txt`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(cmd, fmt.Errorf("unexpected %q", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd) },
	}
	s.opening.flags(cmd)
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&s.listen, "listen", "127.0.0.1:8080", "the `ADDRESS` to listen on")
	f.StringVar(&s.signing, "signing-key", "", "the `FILE` of the Ed25519 key that signs; default: "+signingName+" in the directory, made where there is none")
	f.StringVar(&s.cert, "cert", "", "the certificate `FILE`, PEM; read again when it changes")
	f.StringVar(&s.certKey, "key", "", "the `FILE` of its key")
	f.StringVar(&s.clientCA, "client-ca", "", "the `FILE` of the authorities that sign edges' certificates")
	f.StringVar(&s.clientRevoked, "client-revoked", "", "the `FILE` of edges' certificates, and those of authorities between, that are not good any more: revocation lists of the authorities, PEM, or serial numbers in hexadecimal, one a line; read again when it changes")
	f.IntVar(&s.downloads, "downloads", feed.DefaultDownloads, "how many snapshots go out at a time; others are told when to come again")
	s.relaying.flags(f)
	s.keeping.flags(f)
	f.StringVar(&s.provider, "provider", "", "whose edge explanations and decisions are for, unless who asks says")
	f.StringArrayVar(&s.policies, "policy", nil, "a policy `KNOB=VALUE` of theirs, for example gov=inherit; may be repeated")
	f.StringVar(&s.mainland, "mainland", "", "`FILE` of mainland prefixes for them, or .mmdb; default: the built-in table")
	f.StringVar(&s.admin, "admin", "", "an `ADDRESS` for who runs the service: /metrics, /healthz, /readyz, /explain; everybody who gets there may ask")
	f.BoolVar(&s.profiles, "pprof", false, "profiles of the process there as well, below /debug/pprof/")
	f.DurationVar(&s.snapshots, "snapshots", api.DefaultSnapshots, "how often a snapshot is made at least, where anything has changed")
	completePolicy(cmd)
	return cmd
}

func (s *serving) run(cmd *cobra.Command) error {
	if s.dir == "" {
		return usageError(cmd, withHint(errors.New("no directory"), "name it with --dir, for example --dir /var/lib/icp-registry"))
	}
	s.log = slog.New(slog.NewTextHandler(s.stderr, nil))
	secure, err := s.tls()
	if err == nil {
		err = s.relaying.check()
	}
	if err == nil {
		err = s.keeping.check()
	}
	switch {
	case err != nil:
	case s.downloads < 1:
		err = fmt.Errorf("--downloads %d; expect a number from 1 on", s.downloads)
	case s.snapshots <= 0:
		err = fmt.Errorf("--snapshots %s; expect a time above 0, for example 24h", s.snapshots)
	case s.profiles && s.admin == "":
		err = errors.New("--pprof goes with --admin")
	}
	if err != nil {
		return usageError(cmd, err)
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	log := s.log
	db, err := s.open(ctx, cmd, "icp-registry serve")
	if err != nil {
		return err
	}
	defer db.Close()
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	edge.HandleMetrics(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	config := api.Config{
		Metrics: metrics, Tokens: api.Tokens{Store: db}, Store: db, Version: version.String(), Now: s.now, Dir: filepath.Join(s.dir, importsName),
		Failed: failures(log),
	}
	if s.revoked != nil {
		config.Revoked = s.revoked.Ends
	}
	var c center
	if s.upstream != "" {
		c, err = s.relay(cmd, &config, log)
	} else {
		c, err = s.publisher(ctx, db, log)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	config.Hub, config.Connected = c.Hub(), c.Connected
	if config.Edge, err = s.judge(c.Hub().Replica()); err != nil {
		return usageError(cmd, err)
	}
	defer config.Edge.Close()
	if y, ok := c.(*pinned); ok {
		config.Follows = y.Status
	}
	service := api.New(config)
	defer service.Close()
	if s.upstream == "" {
		resume(ctx, service, log)
		defer s.keep(ctx, service, log)()
	}
	if y, ok := c.(*pinned); ok {
		y.SpeakFor(service.Behind)
	}
	return s.serve(ctx, service.Server(), l, secure, c, log)
}

// judge decides and explains by what is served.
func (s *serving) judge(r *feed.Replica) (*edge.Edge, error) {
	c := edge.Config{Live: r.Live(), Lists: r, Mainland: s.mainland, Now: s.now}
	var err error
	if s.provider != "" {
		if c.Provider, err = registry.ParseProviderID(s.provider); err != nil {
			return nil, err
		}
	}
	if c.Policy, err = policyOf(s.policies); err != nil {
		return nil, err
	}
	if s.admin != "" {
		if c.Admin, err = netip.ParseAddrPort(s.admin); err != nil {
			return nil, fmt.Errorf("--admin %q; expect ADDRESS:PORT, for example 127.0.0.1:9155", s.admin)
		}
		c.AdminProfiles = s.profiles
	}
	return edge.Open(c)
}

// hub are the settings of what is served.
func (s *serving) hub() feed.HubOptions {
	return feed.HubOptions{Now: s.now, Downloads: s.downloads}
}

// publisher publishes what the registry of record is.
func (s *serving) publisher(ctx context.Context, db *store.Store, log *slog.Logger) (center, error) {
	signer, err := s.signer()
	if err != nil {
		return nil, err
	}
	p, warnings, err := api.OpenPublisher(ctx, db, filepath.Join(s.dir, servedName), api.PublisherOptions{
		Signer: signer, Hub: s.hub(), Snapshots: s.snapshots, Failed: tells(log, "changes do not reach the edges", "changes reach the edges again"),
	})
	for _, w := range warnings {
		log.Warn(w)
	}
	return p, err
}

// failures logs what is not the fault of who asks, and where a defect lies.
func failures(log *slog.Logger) func(error) {
	return func(err error) {
		var p *api.Panic
		if errors.As(err, &p) {
			log.Error("a request met a defect of this program; please report it", "error", err, "stack", string(p.Stack))
			return
		}
		log.Error("a request failed", "error", err)
	}
}

// tells logs the beginning and the end of what is wrong.
func tells(log *slog.Logger, begun, over string) func(error) {
	return func(err error) {
		if err != nil {
			log.Error(begun, "error", err)
			return
		}
		log.Info(over)
	}
}

// serve serves until ctx ends, and then ends streams and requests in order.
func (s *serving) serve(ctx context.Context, server *http.Server, l net.Listener, secure *tls.Config, c center, log *slog.Logger) error {
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	server.TLSConfig = secure
	var running sync.WaitGroup
	defer running.Wait()
	publishing, end := context.WithCancel(context.Background())
	defer end()
	running.Go(func() { c.Run(publishing) })
	running.Go(func() {
		select {
		case <-ctx.Done():
		case <-publishing.Done():
		}
		c.Hub().Close() // streams end by themselves then
		last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if server.Shutdown(last) != nil {
			server.Close()
		}
	})
	log.Info("serving", "address", l.Addr().String(), "revision", c.Hub().Replica().Revision().String())
	var err error
	if secure != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
