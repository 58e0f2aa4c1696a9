package gate_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// quicAlone has Chromium visit a filed and an unfiled name of a server of HTTP/3,
// with QUIC and nothing else allowed.
func quicAlone(t *testing.T) string {
	o := newQUICOrigin(t, quicOriginConfig{})
	addr := startQUIC(t, "", o).addr(t, "quic:")
	_, port, _ := net.SplitHostPort(addr)
	b := newBrowser(t, "MAP *.example 127.0.0.1", []*x509.Certificate{o.cert.Leaf},
		fmt.Sprintf("--origin-to-force-quic-on=filed.example:%[1]s,unfiled.example:%[1]s", port))
	var got []string
	for _, host := range []string{"filed.example", "unfiled.example", "filed.example"} {
		v := b.visit("https://" + host + ":" + port + "/").String()
		if v == fmt.Sprintf("h3 200 %[1]s %[1]s:%[2]s", host, port) {
			v = "loads"
		}
		got = append(got, v)
	}
	if o.saw("unfiled.example") {
		t.Error("the origin saw the unfiled name")
	}
	return strings.Join(got, ", ")
}

// fallingBack are sites that Chromium has learnt to reach by QUIC.
var fallingBack = []struct {
	host, ip string
	lines    string // of the listener of QUIC
	// hangsUp: the server ends the connection of QUIC when the name is cancelled, so
	// that Chromium must begin another. Otherwise the gate cuts it.
	hangsUp bool
}{
	{"told.example", "127.0.0.1", "established keep", true},
	{"silent.example", "127.0.0.2", "established keep\nblock drop", true},
	{"cut.example", "127.0.0.3", "", false},
}

// fallsBack has one Chromium visit sites by TCP, and then by QUIC, and then when
// they are not filed any more.
func fallsBack(t *testing.T) string {
	var names []string
	for _, f := range fallingBack {
		names = append(names, f.host)
	}
	o := newQUICOrigin(t, quicOriginConfig{names: names})
	ports := new(sync.Map) // of QUIC, by host
	web, admin := newAltOrigin(t, &o.cert, ports), freePort(t)
	page := newCertificate(t, names...)
	pair, err := tls.LoadX509KeyPair(page.Cert, page.Key)
	if err != nil {
		t.Fatal(err)
	}
	var conf, rules, roots strings.Builder
	filed := []registry.Filing{filing("filed.example", registry.Aliyun)}
	for _, f := range fallingBack {
		fmt.Fprintf(&conf, "tls://%s:0 {\nICP\nupstream %s\ntls %s %s page\n}\n", f.ip, web, page.Cert, page.Key)
		fmt.Fprintf(&conf, "quic://%s:0 {\nICP\nupstream %s\n%s\n}\n", f.ip, o.addr, f.lines)
		fmt.Fprintf(&rules, "MAP %s %s,", f.host, f.ip)
		fmt.Fprintf(&roots, "%s:1,", f.host)
		filed = append(filed, filing(f.host, registry.Aliyun))
	}
	p := start(t, 2*len(fallingBack), strings.Replace(conf.String(), "ICP", withAdmin(admin), 1), nil)
	p.writeRegistry(t, 2, filed...)
	p.log.await(t, `msg="files read anew" data=registry`)
	urls := map[string]string{}
	for _, f := range fallingBack {
		_, port, _ := net.SplitHostPort(p.addr(t, "quic://"+f.ip+":"))
		ports.Store(f.host, port)
		_, port, _ = net.SplitHostPort(p.addr(t, "tls://"+f.ip+":"))
		urls[f.host] = "https://" + f.host + ":" + port + "/"
	}
	// That QUIC is forced on another port has no effect, but that Chromium takes the
	// certificate of the host by QUIC as well.
	b := newBrowser(t, strings.TrimSuffix(rules.String(), ","), []*x509.Certificate{o.cert.Leaf, pair.Leaf}, "--origin-to-force-quic-on="+strings.TrimSuffix(roots.String(), ","))
	for _, f := range fallingBack {
		if got := b.visit(urls[f.host]); got.protocol != "http/1.1" || got.status != 200 {
			t.Errorf("%s at first: got %s; want it by TCP", f.host, got)
		}
		within(t, browserWait, "it comes by QUIC", func() bool { return b.visit(urls[f.host]).protocol == "h3" })
	}
	p.writeRegistry(t, 3, filing("filed.example", registry.Aliyun))
	series := func(name, ip string) bool {
		n := scraped(t, admin, fmt.Sprintf(`icp_gate_%s,?listener="quic://%s:0[^"]*"\}`, name, ip))
		return n != "" && n != "0"
	}
	eventually(t, "what is open is cut", func() bool { return series(`ended_total\{`, "127.0.0.3") })
	var got []string
	for _, f := range fallingBack {
		began := time.Now()
		var v visited
		// A visit that the end of a connection has come into fails, and whoever made it
		// goes there again.
		within(t, browserWait, "it comes by QUIC no more", func() bool {
			if f.hangsUp {
				o.hangUp(f.host)
			}
			v = b.visit(urls[f.host])
			return v.protocol != "h3" && v.failed == ""
		})
		t.Logf("%s: %s %d after %s", f.host, v.protocol, v.status, time.Since(began).Round(time.Millisecond))
		if v.status == 403 && strings.Contains(v.text, "has no ICP filing") {
			got = append(got, "the page by TCP")
		} else {
			got = append(got, v.String())
		}
	}
	// Where TCP is the faster one, the page is there before QUIC has been tried.
	within(t, browserWait, "Chromium tries QUIC again", func() bool {
		return series(`quic_answers_total\{answer="close"`, "127.0.0.1") || b.visit(urls["told.example"]).protocol == "h3"
	})
	return strings.Join(got, ", ")
}

// withAdmin is the block of all tests with an admin port.
func withAdmin(admin string) string {
	return strings.Replace(icpBlock, "icp {", "icp {\nadmin "+admin, 1)
}

// newAltOrigin is a web server by TCP that says of each host at which port it is to
// be had by QUIC, and keeps no connection, so that a browser chooses anew.
func newAltOrigin(t *testing.T, cert *tls.Certificate, ports *sync.Map) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.Host)
		port, _ := ports.Load(host)
		w.Header().Set("Alt-Svc", fmt.Sprintf("h3=\":%v\"; ma=3600", port))
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprintf(w, "%s %s", r.TLS.ServerName, r.Host)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
	s.Config.SetKeepAlivesEnabled(false)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}
