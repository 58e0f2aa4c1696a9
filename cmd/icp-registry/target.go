package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/cmd/internal/version"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

// Variables that name a service where no flag does.
const (
	serverVariable = "ICP_SERVER"
	tokenVariable  = "ICP_TOKEN_FILE"
)

// target are the flags of who talks to a registry of record: to a service or, where
// none runs, to the database itself. Both ways it is the service that does the work:
// without --server one is made for this command within its process.
type target struct {
	opening
	server    string
	tokenFile string
	ca        string
}

func (t *target) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&t.server, "server", "", "the `URL` of the service; default: that of the variable "+serverVariable)
	f.StringVar(&t.tokenFile, "token-file", "", "the `FILE` of the token for it; default: that of the variable "+tokenVariable)
	f.StringVar(&t.ca, "ca", "", "the `FILE` of the authorities that sign its certificate; default: those of the system")
	t.opening.flags(cmd)
}

// given reports whether a registry of record is named.
func (t *target) given() bool {
	return t.server != "" || t.dir != "" || t.database != ""
}

// connect reaches the service. The caller closes it.
func (t *target) connect(ctx context.Context, cmd *cobra.Command) (*client, error) {
	if t.server != "" && (t.dir != "" || t.database != "") {
		return nil, usageError(cmd, errors.New("--server and --dir or --db; name one of them"))
	}
	if t.dir != "" || t.database != "" {
		return t.within(ctx, cmd)
	}
	server := t.server
	if server == "" {
		server = t.getenv(serverVariable)
	}
	if server == "" {
		return nil, usageError(cmd, withHint(errors.New("no registry of record"),
			"name the service with --server and --token-file, or where none runs the directory with --dir"))
	}
	c, err := t.remote(server)
	if err != nil {
		return nil, usageError(cmd, err)
	}
	return c, nil
}

// remote is a client of a service elsewhere.
func (t *target) remote(server string) (*client, error) {
	u, err := feed.ParseService(server)
	if err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	path := t.tokenFile
	if path == "" {
		path = t.getenv(tokenVariable)
	}
	if path == "" {
		return nil, withHint(errors.New("no token"), "name its file with --token-file or "+tokenVariable)
	}
	token, err := readToken(path)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if t.ca != "" {
		text, err := os.ReadFile(t.ca)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: no certificate; expect PEM", t.ca)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &client{
		base: strings.TrimSuffix(u.String(), "/"), token: token, http: &http.Client{Transport: transport, CheckRedirect: noRedirect},
		close: func() error { transport.CloseIdleConnections(); return nil },
	}, nil
}

// noRedirect: a token must not go to another place than the one that was named.
func noRedirect(*http.Request, []*http.Request) error {
	return errors.New("the service redirects; give the URL that it redirects to")
}

// readToken reads the secret of a token; errors never hold any of it.
func readToken(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
		return "", withHint(fmt.Errorf("token %s: everybody may read it", path), "chmod 600 "+path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(b))
	if text == "" || len(text) > 512 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("token %s: expect one line with the token", path)
	}
	return text, nil
}

// within makes a service on the database, in this process and for it alone.
func (t *target) within(ctx context.Context, cmd *cobra.Command) (*client, error) {
	db, err := t.open(ctx, cmd, cmd.CommandPath())
	if err != nil {
		return nil, err
	}
	dir, drop := filepath.Join(t.dir, importsName), func() {}
	if t.dir == "" {
		if dir, err = os.MkdirTemp("", "icp-registry-"); err != nil {
			db.Close()
			return nil, err
		}
		drop = func() { os.RemoveAll(dir) }
	}
	service := api.New(api.Config{Tokens: oneself{}, Store: db, Version: version.String(), Now: t.now, Dir: dir, Frank: true})
	l := newPipeListener()
	server := service.Server()
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }() // it ends with Close
	transport := &http.Transport{DialContext: l.dial}
	return &client{
		base: "http://registry", token: "oneself", http: &http.Client{Transport: transport}, local: true,
		close: func() error {
			transport.CloseIdleConnections()
			service.Close()
			server.Close()
			<-served
			drop()
			return db.Close()
		},
	}, nil
}

// oneself may do everything: who has the database needs no token.
type oneself struct{}

// Authenticate implements api.Authenticator.
func (oneself) Authenticate(context.Context, string) (api.Identity, error) {
	return api.Identity{ID: "local:" + who(), Owner: who(), Scopes: store.Scopes()}, nil
}

// Ended implements api.Authenticator.
func (oneself) Ended(context.Context, []api.Identity) (map[string]bool, error) { return nil, nil }

// pipeListener takes connections that never leave the process.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{make(chan net.Conn), make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It is called once, by the server.
func (l *pipeListener) Close() error { close(l.closed); return nil }

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "registry", Net: "pipe"} }

// polling is how often a command asks how far an import is.
const polling = 200 * time.Millisecond
