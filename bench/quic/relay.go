//go:build linux

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/icpgate/icpgate/bench/rig"
)

//go:embed testdata/relay.c
var relaySource []byte

// relay is a bare relay at work.
type relay struct {
	*program
	line line
}

// startRelays compiles the bare relay and starts it in both ways. Where that fails
// it is noted why.
func (w *world) startRelays(dir string, before []string) {
	if err := w.tryRelays(dir, before); err != nil {
		w.noRelay = err.Error()
	}
}

func (w *world) tryRelays(dir string, before []string) error {
	cc, err := exec.LookPath("cc")
	if err != nil {
		return errors.New("cc is not installed")
	}
	source, bin := filepath.Join(dir, "relay.c"), filepath.Join(dir, "relay")
	if err := os.WriteFile(source, relaySource, 0o644); err != nil {
		return err
	}
	if out, err := exec.Command(cc, "-O2", "-o", bin, source).CombinedOutput(); err != nil {
		return fmt.Errorf("cc: %w: %s", err, out)
	}
	for _, how := range []string{"plain", "joined"} {
		at := freeAddr()
		p, err := run(append(before, bin, fmt.Sprint(at.Port), fmt.Sprint(w.origin.addr().Port), how)...)
		if err != nil {
			return err
		}
		w.relays[how] = &relay{program: p, line: line{origin: w.origin, at: at}}
	}
	return nil
}

// missing is why an operation cannot be measured; "" if it can.
func (w *world) missing(op operation) string {
	if op.relay {
		return w.noRelay
	}
	return ""
}

// relayed is what a bare relay costs.
func relayed(how string, ways func(*line) []way) func(options, *world) (float64, error) {
	return func(o options, w *world) (float64, error) {
		r := w.relays[how]
		if err := r.reach(); err != nil {
			return 0, err
		}
		l := r.line
		l.size, l.cut = o.size, o.size
		return rig.Cost(r.pid(), func() (float64, error) { return pumpAll(ways(&l), o.run) })
	}
}

// reach has a client be known to the relay, and the relay to the origin.
func (r *relay) reach() (err error) {
	if r.line.client != nil {
		return nil
	}
	if r.line.client, err = listen("127.0.0.1:0"); err != nil {
		return err
	}
	for range 50 { // until it listens
		hello := make([]byte, 100)
		r.line.client.add(r.line.at, 0, hello, len(hello))
		if err := r.line.client.flush(); err != nil {
			return err
		}
		list, _, err := r.line.origin.read(lostAfter, len(hello))
		if err != nil {
			return err
		}
		if len(list) > 0 {
			r.line.flows = []*flow{{at: list[0].Addr.(*net.UDPAddr)}}
			return nil
		}
	}
	return errors.New("the relay does not relay")
}
