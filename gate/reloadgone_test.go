package gate_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// TestReloadGone: who has connected to a listener that a reload takes away, and has
// not asked yet, is served, and judged by what is true when he asks, though no other
// block has that registry; tunnels there end when their name is cancelled. To whoever
// asks the process, their block is none any more.
func TestReloadGone(t *testing.T) {
	echo, admin, blockAdmin := newEcho(t), freePort(t), freePort(t)
	stays := "http://127.0.0.1:0 {\n" + withAdmin(admin) + "\nupstream 127.0.0.1:1\n}\n"
	addrs := map[string]string{"http": freePort(t), "tls": freePort(t)}
	goes := "http://" + addrs["http"] + " tls://" + addrs["tls"] + " {\n" +
		strings.Replace(withAdmin(blockAdmin), "registry.icp", "other.icp", 1) + "\nlog goes.log\ntimeouts head 1m drain 1h\nupstream "
	dir := t.TempDir() // of the other registry, so that it is there before the start
	goes = strings.Replace(goes, "other.icp", filepath.Join(dir, "other.icp"), 1)
	revise := func(rev uint64, names ...string) {
		t.Helper()
		var list []registry.Filing
		for _, name := range names {
			list = append(list, filing(name, registry.Aliyun))
		}
		if err := index.WriteFile(filepath.Join(dir, "other.icp"), newIndex(t, rev, list...)); err != nil {
			t.Fatal(err)
		}
	}
	revise(1, "filed.example", "cancelled.example")
	p := start(t, 3, stays+goes+echo+"\n}\n", nil)

	tunnel := newTunnel(t, addrs["tls"], "cancelled.example")
	silent := map[string]net.Conn{}
	for _, what := range []string{"tls filed", "tls cancelled", "http cancelled"} {
		scheme, _, _ := strings.Cut(what, " ")
		silent[what] = dialTCP(t, addrs[scheme])
	}
	open := func() (n float64) {
		for _, x := range scrapedAll(t, admin, `icp_gate_open_connections\{listener="(?:http|tls)://127.0.0.1:[1-9].*\}`) {
			n += toFloat(x)
		}
		return n
	}
	eventually(t, "all are somebody's", func() bool { return open() == 4 })
	p.write(t, stays)
	p.signal(t, syscall.SIGHUP)
	p.log.await(t, `msg="configuration read anew"`)
	if c, err := net.Dial("tcp", blockAdmin); err == nil {
		c.Close()
		t.Error("the admin port of its block is open")
	}
	resp, err := http.Get("http://" + admin + "/explain?host=filed.example&block=2")
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode == http.StatusOK {
		t.Errorf("its block is explained: %s", resp.Status)
	}
	revise(2, "filed.example")
	if _, err := tunnel.Read(make([]byte, 1)); err == nil || !ended(err) {
		t.Errorf("the tunnel of a name that was cancelled after the reload: got %v; want the end", err)
	}
	if got := keptAsk(t, silent["http cancelled"], bufio.NewReader(silent["http cancelled"]), "cancelled.example"); got != "403" {
		t.Errorf("a request for that name: got %s; want 403", got)
	}
	c := silent["tls cancelled"]
	_, _ = c.Write(hello.For("cancelled.example"))
	b := make([]byte, 7)
	if n, err := c.Read(b); n != 7 || b[6] != 112 {
		t.Errorf("a hello for that name: got %x, %v; want the alert", b[:n], err)
	}
	filed := tunnelOver(t, silent["tls filed"], "filed.example")
	if got := filed.echo(t, "served"); got != "served" {
		t.Errorf("a filed name: got %s", got)
	}
	lines := logLines(t, filepath.Join(p.dir, "goes.log"), 4)
	if got := lines[3]["host"] + " " + lines[3]["verdict"]; got != "filed.example pass" {
		t.Errorf("the last line of its log is of %s", got)
	}
}

// TestReloadStale: a reload while the registry is too old to decide ends what it
// blocks whatever the registry says, and nothing that nobody has decided of.
func TestReloadStale(t *testing.T) {
	echo := newEcho(t)
	config := func(lines string) string {
		return "tls://127.0.0.1:0 {\n" + strings.Replace(icpBlock, "}", lines+"\n}", 1) + "\nupstream " + echo + "\n}\n"
	}
	p := start(t, 1, config("max-stale 1h allow"), map[string]string{"registry.icp": oldRegistry(t)})
	addr := p.addr(t, "tls:")
	nameless, filed := newTunnel(t, addr, ""), newTunnel(t, addr, "filed.example")
	p.write(t, config("max-stale 1h block\npolicy no-host block"))
	p.signal(t, syscall.SIGHUP)
	if _, err := nameless.Read(make([]byte, 1)); err == nil || !ended(err) {
		t.Errorf("a tunnel without a name: got %v; want the end", err)
	}
	if err := handshake(addr, "filed.example"); err == nil {
		t.Error("a new connection passes; want all blocked")
	}
	if got := filed.echo(t, "still here"); got != "still here" {
		t.Errorf("a tunnel that nothing is decided of: got %s", got)
	}
}

// TestGoneAwaited: the end of a gate waits for who is at a listener that a reload
// has taken away, too; and what has ended takes no other configuration.
func TestGoneAwaited(t *testing.T) {
	const tunnels = 32
	live, echo := filedLive(t), newEcho(t)
	config := func(keys string) gate.Config {
		return liveConfig(t, live, keys+" {\n"+icp+"serves mainland\nupstream "+echo+"\n}\n")
	}
	g, err := gate.Start(config("tls://127.0.0.1:0"), gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range g.Listeners() {
		for range tunnels {
			newTunnel(t, addr.String(), "filed.example")
		}
	}
	other := config("http://127.0.0.1:0")
	if err := g.Reload(other); err != nil {
		t.Fatal(err)
	}
	if n := gate.Kept(g); n != tunnels {
		t.Fatalf("%d tunnels are open; want %d", n, tunnels)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = g.Shutdown(ctx) // which says that they were cut off
	if n := gate.Kept(g); n > 0 {
		t.Errorf("%d of %d are still served when it has returned", n, tunnels)
	}
	if err := g.Reload(other); err == nil {
		t.Error("it is reloaded when it has ended")
	}
}
