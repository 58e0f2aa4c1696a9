//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/bench/rig"
	"github.com/icpgate/icpgate/registry"
)

// world is what is measured, and what stands behind it.
type world struct {
	gate *program
	// Listeners of the gate: flows of brief end soon, those of bulk last, flood is
	// for floods, and mute tells those whom it blocks nothing.
	brief, bulk, flood, mute *net.UDPAddr
	admin                    net.Addr // the admin port
	// origin stands behind all of them but flood, and behind the relays.
	origin *socket
	web    *webOrigin
	// relays are the bare ones, by how they are started; noRelay is why there are
	// none.
	relays  map[string]*relay
	noRelay string

	line           *line // by the gate, with the flows that are open
	filed, unfiled []string
	ids            ids
}

// program is one that is measured.
type program struct{ cmd *exec.Cmd }

func (p *program) pid() int { return p.cmd.Process.Pid }

func (p *program) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// taskset has a program run on a core.
func taskset(core string) []string { return []string{"taskset", "-c", core} }

func run(args ...string) (*program, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	return &program{cmd}, cmd.Start()
}

// hosts is how many names of each sort there are.
const hosts = 1000

// start starts the gate, behind the words before, and what else it takes.
func (o options) start(before []string) (w *world, err error) {
	snapshot := filepath.Join(o.dir, fmt.Sprintf("registry-%d.icp", o.filings))
	if err := rig.WriteSnapshot(snapshot, 0, o.filings); err != nil {
		return nil, err
	}
	w = &world{relays: map[string]*relay{}}
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	for i := 0; len(w.filed) < hosts; i++ {
		if n := i * 997 % o.filings; corpus.Filing(n).Status == registry.StatusNormal {
			w.filed = append(w.filed, "www."+corpus.Name(n))
			w.unfiled = append(w.unfiled, corpus.Unfiled(i))
		}
	}
	if w.origin, err = listen("127.0.0.1:0"); err != nil {
		return nil, err
	}
	if w.web, err = newWebOrigin(w.filed[0]); err != nil {
		return nil, err
	}
	conf := filepath.Join(o.dir, "gate.conf")
	if err := os.WriteFile(conf, w.configure(snapshot), 0o644); err != nil {
		return nil, err
	}
	if w.gate, err = run(append(before, o.gate, "-conf", conf)...); err != nil {
		return nil, err
	}
	if err := w.await(); err != nil {
		return nil, err
	}
	w.startRelays(o.dir, before)
	return w, nil
}

// configure chooses ports and writes a configuration of the gate.
func (w *world) configure(snapshot string) []byte {
	var b bytes.Buffer
	w.admin = freePort()
	for _, l := range []struct {
		addr     **net.UDPAddr
		upstream string
		icp      string
		more     string
	}{
		{&w.brief, w.origin.addr().String(), "admin " + w.admin.String(), "timeouts idle 1s"},
		{&w.bulk, w.origin.addr().String(), "", ""},
		{&w.flood, w.web.addr().String(), "", "limits connections 10000"},
		{&w.mute, w.origin.addr().String(), "", "block drop"},
	} {
		*l.addr = freeAddr()
		fmt.Fprintf(&b, "quic://%s {\n    icp {\n        registry %s\n        %s\n    }\n    serves mainland\n    upstream %s\n    %s\n}\n", *l.addr, snapshot, l.icp, l.upstream, l.more)
	}
	return b.Bytes()
}

// freeAddr is an address that nobody listens on.
func freeAddr() *net.UDPAddr {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	fatal(err)
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr)
}

// freePort is one of TCP that nobody listens on.
func freePort() net.Addr {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	fatal(err)
	defer l.Close()
	return l.Addr()
}

// await waits until the gate lets a filed name pass.
func (w *world) await() error {
	c, err := listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer c.conn.Close()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		f, err := w.begin(c, w.bulk, 0)
		if err == nil && f != nil {
			return nil
		}
	}
	return fmt.Errorf("the gate does not serve at %s", w.bulk)
}

func (w *world) stop() {
	for _, r := range w.relays {
		r.stop()
	}
	if w.gate != nil {
		w.gate.stop()
	}
	if w.origin != nil {
		w.origin.conn.Close()
	}
	if w.web != nil {
		w.web.close()
	}
}

// sockets is how many the gate has.
func (w *world) sockets() (n int) {
	for link := range rig.Sockets(w.gate.pid()) {
		if strings.HasPrefix(link, "socket:") {
			n++
		}
	}
	return n
}

// settle waits until the gate has no more sockets than n.
func (w *world) settle(n int) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if w.sockets() <= n {
			return nil
		}
	}
	return fmt.Errorf("the gate has %d sockets; want %d", w.sockets(), n)
}

// memory is what the gate holds beside files, in KB.
func (w *world) memory() (kb int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.gate.pid()))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "RssAnon:")
	return strconv.ParseInt(strings.Fields(rest + " -")[0], 10, 64)
}
