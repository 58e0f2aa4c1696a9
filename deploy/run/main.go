// Command run starts the programs on the sample data and prints what to try:
// it is what `make run` runs after building. It ends them when it is
// interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// The ports that corefile.example names.
const (
	dnsPort   = "10053"
	readyPort = "10054"
)

// host is where the programs listen, as the sample configurations name it. Tests have
// one of their own, where nobody else's programs take ports.
var host = sampleHost

const sampleHost = "127.0.0.1"

// sampleRegistry is the registry that the sample configurations name; the programs
// that run here follow a registry service in its place.
const sampleRegistry = "bin/sample/registry.icp"

func main() {
	bin := flag.String("bin", "bin", "folder of the built programs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

// run starts the registry, CoreDNS and the gate that follow it, tells out what to
// try once they answer, and waits for ctx to end them.
func run(ctx context.Context, bin string, out, logs io.Writer) error {
	c, err := startCenter(ctx, bin, logs)
	if err != nil {
		return err
	}
	defer c.stop()
	state, err := filepath.Abs(filepath.Join(bin, "sample", "state"))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(state); err != nil {
		return err
	}
	// Both keep the registry in one directory: one of them follows it, the other
	// reads along.
	registry := fmt.Sprintf("registry %s\n        state %s", c.followed(), state)
	d, err := startDNS(ctx, bin, registry, logs)
	if err != nil {
		return err
	}
	defer d.stop()
	g, err := startGate(ctx, bin, registry, logs)
	if err != nil {
		return err
	}
	defer g.stop()
	fmt.Fprint(out, d.advice(bin), g.advice(), c.advice(d, g), "\nCtrl-C ends it.\n")
	select {
	case <-c.ended:
		return c.over()
	case <-d.ended:
		return d.over()
	case <-g.ended:
		return g.over()
	case <-ctx.Done():
		return nil
	}
}

// server is a running CoreDNS.
type server struct {
	*program
	port string
}

// startDNS starts CoreDNS with the sample Corefile, with the registry that a line
// of its names.
func startDNS(ctx context.Context, bin, registry string, logs io.Writer) (d *server, err error) {
	corefile, err := os.ReadFile("corefile.example")
	if err != nil {
		return nil, fmt.Errorf("could not read corefile.example (run this from the project's top folder): %w", err)
	}
	port, conf, err := freePorts(string(corefile))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(bin, "sample", "Corefile")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(conf, "registry "+sampleRegistry, registry)), 0o644); err != nil {
		return nil, fmt.Errorf("could not write the Corefile (hint: `make sample` makes its folder): %w", err)
	}
	d = &server{port: port}
	if d.program, err = start(bin, "coredns", logs, "-conf", path, "-quiet"); err != nil {
		return nil, err
	}
	if err := d.await(ctx, "withhold what is not filed", d.follows); err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

// freePorts returns the Corefile with ports that nobody listens on, and the DNS
// port among them. CoreDNS listens with SO_REUSEPORT, so a second one on the
// same port would start without an error and take half of the queries.
func freePorts(corefile string) (port, conf string, err error) {
	port, conf = dnsPort, strings.ReplaceAll(corefile, sampleHost, host)
	for _, p := range []string{dnsPort, readyPort} {
		if free(net.JoinHostPort(host, p)) {
			continue
		}
		other, err := anyPort()
		if err != nil {
			return "", "", err
		}
		conf = strings.ReplaceAll(conf, ":"+p, ":"+other)
		if p == dnsPort {
			port = other
		}
	}
	return port, conf, nil
}

// free reports whether nobody listens on addr, by TCP or UDP.
func free(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	u.Close()
	return true
}

// anyPort asks the kernel for a port that is free for TCP and UDP.
func anyPort() (string, error) {
	for range 20 {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return "", fmt.Errorf("could not find a free port on %s: %w", host, err)
		}
		addr := l.Addr().String()
		l.Close()
		if free(addr) {
			return addr[strings.LastIndexByte(addr, ':')+1:], nil
		}
	}
	return "", fmt.Errorf("could not find a port on %s that is free for TCP and UDP", host)
}

// follows asks for a sample name that is not filed until its address is withheld:
// without a registry it passes.
func (d *server) follows(ctx context.Context) error {
	client := &dns.Client{Timeout: time.Second}
	query := new(dns.Msg).SetQuestion("www.example.net.", dns.TypeA)
	m, _, err := client.ExchangeContext(ctx, query, net.JoinHostPort(host, d.port))
	if err == nil && len(m.Answer) > 0 {
		err = errors.New("no registry yet")
	}
	return err
}

// advice is what the user can try, with what it will show.
func (d *server) advice(bin string) string {
	dig := d.dig()
	return fmt.Sprintf(`
CoreDNS with icp answers on %s. Try in another terminal:

%swww.example.com A   # filed and accessed here: 203.0.113.10
%swww.example.net A   # not filed: no address, EDE 16 "icp: not filed"
%swww.example.org A   # filed with another provider: no address, EDE 16 "icp: not accessed here"

and ask why:

  %s explain www.example.net --registry %s --provider cloud-a
`, net.JoinHostPort(host, d.port), dig, dig, dig, filepath.Join(bin, "icp-registry"), filepath.Join(bin, "sample", "registry.icp"))
}

func (d *server) dig() string { return "  dig @" + host + " -p " + d.port + " " }
