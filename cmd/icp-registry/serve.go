package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
)

// serving are the settings of a service.
type serving struct {
	opening
	listen   string
	signing  string
	cert     string
	certKey  string
	clientCA string
}

func serveCommand(e env) *cobra.Command {
	s := serving{opening: opening{env: e}}
	cmd := &cobra.Command{
		Use:   "serve --dir DIRECTORY",
		Short: "Serve the registry of record to edges and people",
		Long: `Keeps the registry of record and serves it over HTTP: the feed that edges follow,
coverages for those that ask name by name, how the edges are, and a description of
all that (/openapi.json).

Everything but /healthz and /readyz needs a token ("icp-registry token create") or,
with --client-ca, a client's certificate, which counts as that of an edge. Without
--cert the service listens on loopback only: tokens and the key of snapshots would
go over the net in the clear.

The first start makes the database, the keys and the first snapshot. What edges
need is the public key, ` + publicName + ` in the directory:

  icp {
      registry https://registry.example token token.txt key ` + publicName + `
  }`,
		Example: `  icp-registry serve --dir /var/lib/icp-registry --listen :8443 --cert cert.pem --key key.pem
  icp-registry serve --dir ./registry --listen 127.0.0.1:8080`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(cmd, fmt.Errorf("unexpected %q", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd) },
	}
	s.flags(cmd)
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&s.listen, "listen", "127.0.0.1:8080", "the `ADDRESS` to listen on")
	f.StringVar(&s.signing, "signing-key", "", "the `FILE` of the Ed25519 key that signs; default: "+signingName+" in the directory, made where there is none")
	f.StringVar(&s.cert, "cert", "", "the certificate `FILE`, PEM; read again when it changes")
	f.StringVar(&s.certKey, "key", "", "the `FILE` of its key")
	f.StringVar(&s.clientCA, "client-ca", "", "the `FILE` of the authorities that sign edges' certificates")
	return cmd
}

func (s *serving) run(cmd *cobra.Command) error {
	if s.dir == "" {
		return usageError(cmd, withHint(errors.New("no directory"), "name it with --dir, for example --dir /var/lib/icp-registry"))
	}
	secure, err := s.tls()
	if err != nil {
		return usageError(cmd, err)
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	log := slog.New(slog.NewTextHandler(s.stderr, nil))
	db, err := s.open(ctx, cmd, "icp-registry serve")
	if err != nil {
		return err
	}
	defer db.Close()
	signer, err := s.signer()
	if err != nil {
		return err
	}
	p, warnings, err := api.OpenPublisher(ctx, db, filepath.Join(s.dir, servedName), api.PublisherOptions{
		Signer: signer, Hub: feed.HubOptions{Now: s.now},
		Failed: func(err error) {
			if err != nil {
				log.Error("changes do not reach the edges", "error", err)
			} else {
				log.Info("changes reach the edges again")
			}
		},
	})
	for _, w := range warnings {
		log.Warn(w)
	}
	if err != nil {
		return err
	}
	defer p.Close()
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	service := api.New(api.Config{Hub: p.Hub(), Tokens: api.Tokens{Store: db}, Store: db, Version: version(), Now: s.now})
	return s.serve(ctx, service.Server(), l, secure, p, log)
}

// serve serves until ctx ends, and then ends streams and requests in order.
func (s *serving) serve(ctx context.Context, server *http.Server, l net.Listener, secure *tls.Config, p *api.Publisher, log *slog.Logger) error {
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	server.TLSConfig = secure
	var running sync.WaitGroup
	defer running.Wait()
	publishing, end := context.WithCancel(context.Background())
	defer end()
	running.Go(func() { p.Run(publishing) })
	running.Go(func() {
		select {
		case <-ctx.Done():
		case <-publishing.Done():
		}
		p.Hub().Close() // streams end by themselves then
		last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if server.Shutdown(last) != nil {
			server.Close()
		}
	})
	log.Info("serving", "address", l.Addr().String(), "revision", p.Hub().Replica().Revision().String())
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

// signer opens the key that signs, or makes it with the public key beside it.
func (s *serving) signer() (*feed.Signer, error) {
	path := s.signing
	if path == "" {
		path = filepath.Join(s.dir, signingName)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			if err := makeSigner(path, filepath.Join(s.dir, publicName)); err != nil {
				return nil, err
			}
		}
	}
	return feed.OpenSigner(path)
}

func makeSigner(path, public string) error {
	k, err := feed.GenerateSigner()
	if err != nil {
		return err
	}
	text, err := k.PublicPEM()
	if err != nil {
		return err
	}
	if err := os.WriteFile(public, text, 0o644); err != nil {
		return err
	}
	if text, err = k.MarshalPEM(); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// tls reads how the service is secured; nil for plain HTTP, on loopback.
func (s *serving) tls() (*tls.Config, error) {
	if s.cert == "" {
		host, _, err := net.SplitHostPort(s.listen)
		ip := net.ParseIP(host)
		switch {
		case err != nil:
			return nil, fmt.Errorf("--listen %q: %w", s.listen, err)
		case s.certKey != "" || s.clientCA != "":
			return nil, errors.New("--key and --client-ca go with --cert")
		case host != "localhost" && (ip == nil || !ip.IsLoopback()):
			return nil, withHint(fmt.Errorf("--listen %s without a certificate: tokens would go over the net in the clear", s.listen), "give --cert and --key, or listen on 127.0.0.1 and let a proxy of this machine speak TLS")
		}
		return nil, nil
	}
	if s.certKey == "" {
		return nil, errors.New("--cert without --key")
	}
	pair := &keyPair{cert: s.cert, key: s.certKey}
	if _, err := pair.get(nil); err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	if s.clientCA != "" {
		text, err := os.ReadFile(s.clientCA)
		if err != nil {
			return nil, err
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: no certificate; expect PEM", s.clientCA)
		}
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return c, nil
}

// keyPair is a certificate in files, read again when one of them changes. What
// cannot be read leaves the old one in force.
type keyPair struct {
	cert, key string

	mu     sync.Mutex
	stamps [2]time.Time
	pair   *tls.Certificate
}

func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var stamps [2]time.Time
	for i, path := range []string{k.cert, k.key} {
		if info, err := os.Stat(path); err == nil {
			stamps[i] = info.ModTime()
		}
	}
	if k.pair != nil && stamps == k.stamps {
		return k.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err != nil && k.pair == nil {
		return nil, err
	}
	if err == nil {
		k.pair, k.stamps = &pair, stamps
	}
	return k.pair, nil
}
