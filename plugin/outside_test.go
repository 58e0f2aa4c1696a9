package icp_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/deploy/loopback"
)

// get asks an admin listener; headers are pairs.
func get(t *testing.T, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// TestAdmin: what the server withholds is explained and counted where the option
// says, for both blocks at one address.
func TestAdmin(t *testing.T) {
	w := newWorld(t)
	admin := loopback.Free(t)
	up := newUpstream(t, "www.admin-unfiled.test. 60 IN A "+ours)
	s := w.start(t, `a.test:0 {
		SERVER
		ICP(mode monitor
		admin `+admin+`)
		whoami
	}
	.:0 {
		SERVER
		ICP(admin `+admin+`)
		forward . `+up.addr+`
	}`)
	wantBlocked(t, s.ask(t, query{name: "www.admin-unfiled.test", qtype: dns.TypeA, edns: true}), "not filed")

	_, body := get(t, "http://"+admin+"/explain?host=www.admin-unfiled.test&addr="+ours+"&block=2", "Accept", "application/json")
	var x struct {
		Verdict, Reason, Reference string
		Query                      struct{ Place, AddressProvider string }
		Block                      struct{ Number, Of int }
	}
	if err := json.Unmarshal([]byte(body), &x); err != nil {
		t.Fatal(err)
	}
	if x.Verdict != "block" || x.Reason != "unfiled" || x.Query.Place != "mainland" || x.Reference == "" || x.Block.Number != 2 || x.Block.Of != 2 {
		t.Errorf("got %s; want it unfiled, by the second block of two", body)
	}
	_, body = get(t, "http://"+admin+"/sightings", "Accept", "text/csv")
	if !strings.Contains(body, "admin-unfiled.test,www.admin-unfiled.test,"+ours+",unfiled,dns,enforce,") {
		t.Errorf("got %s; want the blocked name in it", body)
	}
	_, body = get(t, "http://"+admin+"/status", "Accept", "application/json")
	for _, want := range []string{`"dns://a.test.:0"`, `"dns://.:0"`, `"mode": "monitor"`, `"mode": "enforce"`, `"filings": 4`, w.path("r.snap"), `"result": "success"`} {
		if !strings.Contains(body, want) {
			t.Errorf("got status %s; want %s in it", body, want)
		}
	}
	s.stop()
	if c, err := net.Dial("tcp", admin); err == nil {
		c.Close()
		t.Error("the admin listener is still there after the server has stopped")
	}
}

// TestAdminReload: a reload hands the listener on without a gap, one that fails
// leaves it, and one to another address moves it.
func TestAdminReload(t *testing.T) {
	w := newWorld(t)
	first, second := loopback.Free(t), loopback.Free(t)
	corefile := func(option string) caddy.Input {
		return w.corefile(".:0 {\nSERVER\nICP(" + option + ")\nwhoami\n}")
	}
	s := w.start(t, ".:0 {\nSERVER\nICP(admin "+first+")\nwhoami\n}")
	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(failed)
		for {
			select {
			case <-stop:
				return
			default:
			}
			resp, err := http.Get("http://" + first + "/healthz")
			if err != nil {
				failed <- err
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}()
	for range 3 {
		if err := s.reload(t, corefile("admin "+first+"\nttl 7")); err != nil {
			t.Fatal(err)
		}
	}
	w.file(t, "broken", "??? ???\n")
	if err := s.reload(t, corefile("admin "+first+"\nbindings broken")); err == nil {
		t.Error("got no error for a broken file")
	}
	close(stop)
	if err := <-failed; err != nil {
		t.Errorf("got %v during reloads; want every request answered", err)
	}
	if resp, body := get(t, "http://"+first+"/readyz"); resp.StatusCode != http.StatusOK {
		t.Errorf("got %s %s after a failed reload; want it ready", resp.Status, body)
	}
	if err := s.reload(t, corefile("admin "+second)); err != nil {
		t.Fatal(err)
	}
	get(t, "http://"+second+"/healthz")
	if c, err := net.Dial("tcp", first); err == nil {
		c.Close()
		t.Error("the old listener is still there")
	}
}

// TestAdminOnce: two addresses in one Corefile are refused, both named.
func TestAdminOnce(t *testing.T) {
	w := newWorld(t)
	_, err := caddy.Start(w.corefile("a.test:0 {\nSERVER\nICP(admin :9154)\nwhoami\n}\nb.test:0 {\nSERVER\nICP(admin :9155)\nwhoami\n}"))
	for _, want := range []string{"127.0.0.1:9154", "127.0.0.1:9155", "a.test", "b.test"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v; want %s in it", err, want)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = caddy.Start(w.corefile(".:0 {\nSERVER\nICP(admin " + taken.Addr().String() + ")\nwhoami\n}"))
	if err == nil || !strings.Contains(err.Error(), "admin: ") || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("got error %v; want one that names the taken address", err)
	}
}

// TestBlockLog: a line for what is withheld, and for what mode monitor would.
func TestBlockLog(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "www.unfiled.test. 60 IN A "+ours, "www.unfiled.test. 60 IN A "+abroad,
		"www.cancelled.test. 60 IN A "+theirs, "accessed.test. 60 IN A "+ours)
	s := w.start(t, ".:0 {\nSERVER\nICP(log blocks.log)\nforward . "+up.addr+"\n}")
	ask := func(name string) { s.ask(t, query{name: name, qtype: dns.TypeA, edns: true}) }
	ask("WWW.unfiled.test")
	ask("accessed.test")
	if err := s.reload(t, w.corefile(".:0 {\nSERVER\nICP(mode monitor\nlog blocks.log)\nforward . "+up.addr+"\n}")); err != nil {
		t.Fatal(err)
	}
	ask("www.cancelled.test")
	s.stop()
	var got []string
	for line := range strings.Lines(read(t, w.path("blocks.log"))) {
		var l struct {
			Name, Filed, Registrable, Effect, Reason, Addr, Client, Zone, Place, Server string
			Owner                                                                       string `json:"address_provider"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if l.Server == "" {
			t.Errorf("got %q; want the server in it", line)
		}
		got = append(got, strings.Join([]string{l.Name, l.Filed, l.Registrable, l.Effect, l.Reason, l.Addr, l.Client, l.Zone, l.Place, l.Owner}, " "))
	}
	want := []string{
		"www.unfiled.test  unfiled.test strip unfiled " + ours + " 127.0.0.0/24 . mainland aliyun",
		"www.cancelled.test cancelled.test  pass cancelled " + theirs + " 127.0.0.0/24 . mainland tencent",
	}
	if !equal(got, want) {
		t.Errorf("got\n%s; want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
