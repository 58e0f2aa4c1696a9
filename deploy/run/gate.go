package main

import (
	"context"
	"crypto/tls"
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

	"github.com/quic-go/quic-go/http3"
)

// The ports that deploy/sample/gate.conf names.
const (
	gatePort     = "10080"
	gateTLSPort  = "10443"
	gateAdmin    = "10085"
	gateAuthPort = "10155"
	siteHTTPPort = "10081"
	siteTLSPort  = "10444"
	siteQUICPort = "10446"
)

// sites are the web servers behind the gate: one in plaintext, one with TLS, one of
// HTTP/3.
type sites struct {
	plain, secure *httptest.Server
	udp           net.PacketConn
	quic          *http3.Server
}

func startSites() (s sites, err error) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "The web server behind the gate has answered for %s.\n", r.Host)
	})
	if s.udp, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		return s, err
	}
	s.plain, s.secure = httptest.NewServer(h), httptest.NewTLSServer(h)
	s.quic = &http3.Server{Handler: h, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: s.secure.TLS.Certificates})}
	go s.quic.Serve(s.udp) // until close
	return s, nil
}

func (s sites) close() {
	s.plain.Close()
	s.secure.Close()
	s.quic.Close()
	s.udp.Close()
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
	sites, err := startSites()
	if err != nil {
		return nil, err
	}
	g = &gate{sites: sites}
	g.ports = map[string]string{siteHTTPPort: portOf(sites.plain), siteTLSPort: portOf(sites.secure)}
	_, g.ports[siteQUICPort], _ = net.SplitHostPort(sites.udp.LocalAddr().String()) // it has one
	defer func() {
		if err != nil {
			sites.close()
		}
	}()
	for _, port := range []string{gatePort, gateTLSPort, gateAdmin, gateAuthPort} {
		g.ports[port] = port
		if !free(net.JoinHostPort(host, port)) {
			if g.ports[port], err = anyPort(); err != nil {
				return nil, err
			}
		}
	}
	text := string(conf)
	for sample, port := range g.ports {
		at := host
		if sample == siteHTTPPort || sample == siteTLSPort || sample == siteQUICPort {
			at = sampleHost // the web servers
		}
		text = strings.ReplaceAll(text, net.JoinHostPort(sampleHost, sample), net.JoinHostPort(at, port))
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
	url := "http://" + net.JoinHostPort(host, g.ports[gateAdmin]) + "/revision"
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
	secure, auth := net.JoinHostPort(host, g.ports[gateTLSPort]), "http://"+net.JoinHostPort(host, g.ports[gateAuthPort])
	curl := g.curl()
	curlTLS := "  curl -k --connect-to ::" + secure + " https://"
	curl3 := "  curl -k --http3-only --connect-to ::" + secure + " https://"
	return fmt.Sprintf(`
icp-gate stands in front of a small web server:

%swww.example.com/       # filed and accessed here: the web server answers
%swww.example.net/       # not filed: the notice
%swww.example.com/   # TLS passes through unopened
%swww.example.net/   # not filed: the alert "unrecognized name"
  curl http://%s/   # ask the gate itself why, and how it is

HTTP/3 at the same port, for a curl that speaks it (curl -V lists HTTP3):

%[6]swww.example.com/   # QUIC passes through unopened
%[6]swww.example.net/   # not filed: error 0x170, the same alert

A proxy that stays where it is asks for each request, and a program whenever it likes:

  curl -H X-Forwarded-Host:www.example.com %[7]s/auth/forward   # passes: 200
  curl -H X-Forwarded-Host:www.example.net %[7]s/auth/forward   # blocked: 403, and the notice
  curl %[7]s/v1/check?host=www.example.net   # why, in JSON
`, curl, curl, curlTLS, curlTLS, net.JoinHostPort(host, g.ports[gateAdmin]), curl3, auth)
}

// curl begins a request in plaintext through the gate.
func (g *gate) curl() string {
	return "  curl --connect-to ::" + net.JoinHostPort(host, g.ports[gatePort]) + " http://"
}
