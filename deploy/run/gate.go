package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The ports that deploy/sample/gate.conf names.
const (
	gatePort     = "10080"
	gateTLSPort  = "10443"
	gateAdmin    = "10085"
	siteHTTPPort = "10081"
	siteTLSPort  = "10444"
)

// sites are the web servers behind the gate: one in plaintext, one with TLS.
type sites struct{ plain, secure *httptest.Server }

func startSites() sites {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "The web server behind the gate has answered for %s.\n", r.Host)
	})
	return sites{httptest.NewServer(h), httptest.NewTLSServer(h)}
}

func (s sites) close() {
	s.plain.Close()
	s.secure.Close()
}

// portOf is the port of a web server.
func portOf(s *httptest.Server) string {
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String()) // it has one
	return port
}

// gate is a running icp-gate.
type gate struct {
	*program
	sites sites
	ports map[string]string // those in use, by those that the sample names
}

// startGate starts the gate on the sample configuration, in front of web servers
// of its own, with the registry that a line of its names.
func startGate(ctx context.Context, bin, registry string, logs io.Writer) (g *gate, err error) {
	conf, err := os.ReadFile("deploy/sample/gate.conf")
	if err != nil {
		return nil, err
	}
	g = &gate{sites: startSites()}
	g.ports = map[string]string{siteHTTPPort: portOf(g.sites.plain), siteTLSPort: portOf(g.sites.secure)}
	sites := g.sites
	defer func() {
		if err != nil {
			sites.close()
		}
	}()
	for _, port := range []string{gatePort, gateTLSPort, gateAdmin} {
		g.ports[port] = port
		if !free("127.0.0.1:" + port) {
			if g.ports[port], err = anyPort(); err != nil {
				return nil, err
			}
		}
	}
	text := string(conf)
	for sample, port := range g.ports {
		text = strings.ReplaceAll(text, ":"+sample, ":"+port)
	}
	networks, err := filepath.Abs("deploy/sample/networks.txt")
	if err != nil {
		return nil, err
	}
	text = strings.NewReplacer("registry ../../"+sampleRegistry, registry, "networks.txt", networks).Replace(text)
	path := filepath.Join(bin, "sample", "gate.conf")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return nil, err
	}
	if g.program, err = start(bin, "icp-gate", logs, "-conf", path); err != nil {
		return nil, err
	}
	if err = g.await(ctx, "follow the registry", g.follows); err != nil {
		g.program.stop()
		return nil, err
	}
	return g, nil
}

// follows asks whether the gate withholds what is not filed: without a registry it
// would let it pass.
func (g *gate) follows(ctx context.Context) error {
	url := "http://127.0.0.1:" + g.ports[gateAdmin] + "/revision"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && strings.HasPrefix(string(text), "none") {
		err = errors.New("no registry yet")
	}
	return err
}

// stop ends the gate and the web servers behind it.
func (g *gate) stop() {
	g.program.stop()
	g.sites.close()
}

// advice is what the user can try.
func (g *gate) advice() string {
	plain, secure := "127.0.0.1:"+g.ports[gatePort], "127.0.0.1:"+g.ports[gateTLSPort]
	curl := "  curl --connect-to ::" + plain + " http://"
	curlTLS := "  curl -k --connect-to ::" + secure + " https://"
	return fmt.Sprintf(`
icp-gate stands in front of a small web server:

%swww.example.com/       # filed and accessed here: the web server answers
%swww.example.net/       # not filed: the notice
%swww.example.com/   # TLS passes through unopened
%swww.example.net/   # not filed: the alert "unrecognized name"
  curl http://127.0.0.1:%s/   # ask the gate itself why, and how it is
`, curl, curl, curlTLS, curlTLS, g.ports[gateAdmin])
}
