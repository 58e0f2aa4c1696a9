// Icp-gate stands in front of web servers and judges every connection by the name
// that the client means.
//
//	icp-gate -conf gate.conf          serves until SIGTERM
//	icp-gate -conf gate.conf -check   reads the configuration, opens its files and ends
//	icp-gate -version                 says what it was built from
//
// SIGHUP and SIGUSR1 read the configuration anew; one that is wrong leaves the
// old one in force. SIGTERM and SIGINT end it once the open connections have
// ended, or after the configured time. SIGUSR2 starts the program anew, hands it
// the listening sockets and ends likewise, so that no connection is refused;
// systemd may hand over sockets as well (LISTEN_FDS), and is told when it serves
// and which process does (NOTIFY_SOCKET).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/icpgate/icpgate/cmd/internal/version"
	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry/edge"
)

func main() {
	ballast := takeBallast()
	code := run(os.Args[1:], os.Stdout, os.Stderr)
	runtime.KeepAlive(ballast)
	os.Exit(code)
}

// settings are those of the command line.
type settings struct {
	conf    string
	check   bool
	version bool
}

func run(args []string, stdout, stderr io.Writer) int {
	var s settings
	flags := flag.NewFlagSet("icp-gate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.conf, "conf", "gate.conf", "the configuration `FILE`")
	flags.BoolVar(&s.check, "check", false, "read the configuration, open the files it names, and end")
	flags.BoolVar(&s.version, "version", false, "say what the program was built from, and end")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "icp-gate: unexpected argument %q; the configuration is named by -conf\n", flags.Arg(0))
		return 2
	}
	if s.version {
		fmt.Fprintln(stdout, "icp-gate", version.String())
		return 0
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(stderr, nil)))
	cfg, err := gate.Load(s.conf)
	if err == nil && s.check {
		err = gate.Check(cfg)
	}
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "icp-gate: %s\n", err)
		return 1
	case s.check:
		fmt.Fprintf(stdout, "%s: %d server blocks, all is well\n", s.conf, len(cfg.Servers))
		return 0
	}
	if err := serve(cfg, s); err != nil {
		fmt.Fprintf(stderr, "icp-gate: %s\n", err)
		return 1
	}
	return 0
}

// serve serves until a signal ends it.
func serve(cfg gate.Config, s settings) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, signalsTaken...)
	inherited, err := gate.Inherited()
	if err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	edge.HandleMetrics(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	g, err := gate.Start(cfg, gate.Options{Metrics: metrics, Inherited: inherited})
	if err != nil {
		return err
	}
	for key, addr := range g.Listeners() {
		slog.Info("serving", "listener", key, "address", addr.String())
	}
	notify("READY=1") // before the process before this one names it as the service
	tellReady()
	return obey(g, cfg, s, signals)
}

// obey does what signals say.
func obey(g *gate.Gate, cfg gate.Config, s settings, signals <-chan os.Signal) error {
	for sig := range signals {
		switch sig {
		case syscall.SIGHUP, reloadSignal:
			next, err := gate.Load(s.conf)
			if err == nil {
				err = g.Reload(next)
			}
			if err != nil {
				slog.Error("the configuration cannot be used; what was in force stays", "error", err)
				continue
			}
			cfg = next
			slog.Info("configuration read anew", "file", s.conf)
		case restartSignal:
			if err := startAnew(g); err != nil {
				slog.Error("could not be started anew; this one goes on", "error", err)
				continue
			}
			g.KeepSockets()
			return end(g, cfg, signals)
		default:
			return end(g, cfg, signals)
		}
	}
	return nil
}

// end drains; a second signal to end ends it at once.
func end(g *gate.Gate, cfg gate.Config, signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Drain())
	defer cancel()
	go func() {
		for sig := range signals {
			if sig == syscall.SIGTERM || sig == os.Interrupt {
				cancel()
			}
		}
	}()
	start := time.Now()
	g.Leave()
	slog.Info("ending", "open", g.Open(), "within", cfg.Drain())
	if err := g.Shutdown(ctx); err != nil {
		slog.Warn("connections were cut off", "after", time.Since(start))
		return nil
	}
	slog.Info("ended", "after", time.Since(start))
	return nil
}
