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
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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
	cmd   *exec.Cmd
	ended chan error
	sites sites
	ports map[string]string // those in use, by those that the sample names
}

// startGate starts the gate on the sample configuration, in front of web servers
// of its own.
func startGate(ctx context.Context, bin string, logs io.Writer) (g *gate, err error) {
	conf, err := os.ReadFile("deploy/sample/gate.conf")
	if err != nil {
		return nil, err
	}
	g = &gate{ended: make(chan error, 1), sites: startSites()}
	g.ports = map[string]string{siteHTTPPort: portOf(g.sites.plain), siteTLSPort: portOf(g.sites.secure)}
	defer func() {
		if err != nil {
			g.sites.close()
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
	sample, err := filepath.Abs(filepath.Join(bin, "sample"))
	if err != nil {
		return nil, err
	}
	networks, err := filepath.Abs("deploy/sample/networks.txt")
	if err != nil {
		return nil, err
	}
	text = strings.NewReplacer("../../bin/sample", sample, "networks.txt", networks).Replace(text)
	path := filepath.Join(sample, "gate.conf")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return nil, err
	}
	g.cmd = exec.Command(filepath.Join(bin, "icp-gate"), "-conf", path)
	g.cmd.Stderr = logs
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("could not start the gate (hint: `make build` builds it): %w", err)
	}
	go func() { g.ended <- g.cmd.Wait() }()
	if err := g.await(ctx); err != nil {
		_ = g.cmd.Process.Kill()
		return nil, err
	}
	return g, nil
}

// await connects until the gate is there.
func (g *gate) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+g.ports[gateTLSPort])
		if err == nil {
			return c.Close()
		}
		select {
		case err := <-g.ended:
			return fmt.Errorf("the gate ended before it answered; see its output above: %w", errors.Join(err, errors.New("ended")))
		case <-ctx.Done():
			return fmt.Errorf("the gate did not answer: %w", ctx.Err())
		case <-again.C:
		}
	}
}

// stop ends the gate and the web servers behind it.
func (g *gate) stop() {
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	<-g.ended // it ends itself within its own time to drain
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
