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
	"os/exec"
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

// startTimeout bounds how long CoreDNS may take to its first answer.
const startTimeout = 30 * time.Second

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

// run starts CoreDNS with the sample Corefile and the gate, tells out what to try
// once they answer, and waits for ctx to end them.
func run(ctx context.Context, bin string, out, logs io.Writer) error {
	corefile, err := os.ReadFile("corefile.example")
	if err != nil {
		return fmt.Errorf("could not read corefile.example (run this from the project's top folder): %w", err)
	}
	port, conf, err := freePorts(string(corefile))
	if err != nil {
		return err
	}
	conf = strings.ReplaceAll(conf, "bin/sample/", filepath.Join(bin, "sample")+"/")
	path := filepath.Join(bin, "sample", "Corefile")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		return fmt.Errorf("could not write the Corefile (hint: `make sample` makes its folder): %w", err)
	}
	cmd := exec.Command(filepath.Join(bin, "coredns"), "-conf", path, "-quiet")
	cmd.Stdout, cmd.Stderr = logs, logs
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("could not start CoreDNS (hint: `make build` builds it): %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := waitAnswer(ctx, "127.0.0.1:"+port, ended); err != nil {
		_ = cmd.Process.Kill()
		return err
	}
	g, err := startGate(ctx, bin, logs)
	if err != nil {
		_ = cmd.Process.Kill()
		<-ended
		return err
	}
	defer g.stop()
	fmt.Fprint(out, advice(bin, port), g.advice(), "\nCtrl-C ends it.\n")
	select {
	case err := <-ended:
		return fmt.Errorf("CoreDNS ended: %w", errors.Join(err, errors.New("see its output above")))
	case err := <-g.ended:
		g.ended <- nil // for stop
		_ = cmd.Process.Kill()
		<-ended
		return fmt.Errorf("the gate ended: %w", errors.Join(err, errors.New("see its output above")))
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	<-ended // CoreDNS ends itself within its own grace period
	return nil
}

// freePorts returns the Corefile with ports that nobody listens on, and the DNS
// port among them. CoreDNS listens with SO_REUSEPORT, so a second one on the
// same port would start without an error and take half of the queries.
func freePorts(corefile string) (port, conf string, err error) {
	port, conf = dnsPort, corefile
	for _, p := range []string{dnsPort, readyPort} {
		if free("127.0.0.1:" + p) {
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
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", fmt.Errorf("could not find a free port on 127.0.0.1: %w", err)
		}
		addr := l.Addr().String()
		l.Close()
		if free(addr) {
			return addr[strings.LastIndexByte(addr, ':')+1:], nil
		}
	}
	return "", errors.New("could not find a port on 127.0.0.1 that is free for TCP and UDP")
}

// waitAnswer asks for a sample name until it is answered.
func waitAnswer(ctx context.Context, addr string, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client := &dns.Client{Timeout: time.Second}
	query := new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if _, _, err := client.ExchangeContext(ctx, query, addr); err == nil {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("CoreDNS ended before it answered; see its output above: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("CoreDNS did not answer on %s: %w", addr, ctx.Err())
		case <-again.C:
		}
	}
}

// advice is what the user can try, with what it will show.
func advice(bin, port string) string {
	dig := "  dig @127.0.0.1 -p " + port + " "
	return fmt.Sprintf(`
CoreDNS with icp answers on 127.0.0.1:%s. Try in another terminal:

%swww.example.com A   # filed and accessed here: 203.0.113.10
%swww.example.net A   # not filed: no address, EDE 16 "icp: not filed"
%swww.example.org A   # filed with another provider: no address, EDE 16 "icp: not accessed here"

and ask why:

  %s explain www.example.net --registry %s --provider cloud-a
`, port, dig, dig, dig, filepath.Join(bin, "icp-registry"), filepath.Join(bin, "sample", "registry.icp"))
}
