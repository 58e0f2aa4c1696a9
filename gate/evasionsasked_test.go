package gate_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate/authz/spop/peer"
)

// TestEvasionsIntegration tries the listed evasions of proxies that ask.
func TestEvasionsIntegration(t *testing.T) {
	tryListed(t, "integration", map[string]evasionCase{
		"I01": {nginxNever500, "redirect: 200 403, status 451: 200 403"},
		"I02": {forwardedTwice, "200 403, two 403 403 403, a list 403, another beside it 403, of a stranger 403"},
		"I04": {envoyWithoutName, "ok pass no-host, denied block no-host-refused"},
		"I05": {framesRefused, "13 farewells, beside them false pass accessed"},
		"I07": {caddyCopies, "200, 403 with the page, 302 to https://notice.example.com/icp?host=unfiled.example&reason=unfiled"},
		"I08": {apisixWithout, "302 without Location, the place in the body"},
	})
}

// nginxNever500 asks nginx, which takes anything but 2xx, 401 and 403 for a defect.
func nginxNever500(t *testing.T) string {
	command(t, "nginx")
	origin := newOrigin(t, new(seen))
	var got []string
	for _, block := range [][2]string{{"redirect", "redirect https://notice.example.com/icp"}, {"status 451", "page status 451"}} {
		web, agent := freePort(t), freePort(t)
		start(t, 1, "auth://"+agent+" {\nICP\npeers 127.0.0.1\nblock "+block[1]+"\n}", nil)
		serveAskingNginx(t, fences{"nginx.conf": `
events {}
http {
	access_log off;
	server {
		listen ` + web + `;
		location / {
			auth_request /icp;
			proxy_pass http://` + origin + `;
			proxy_set_header Host $http_host;
		}
		location = /icp {
			internal;
			proxy_pass http://` + agent + `/auth/nginx;
			proxy_pass_request_body off;
			proxy_set_header Content-Length "";
			proxy_set_header X-Forwarded-Host $http_host;
		}
	}
}`}, web)
		got = append(got, fmt.Sprintf("%s: %d %d", block[0], get(t, web, "filed.example").status, get(t, web, "unfiled.example").status))
	}
	return strings.Join(got, ", ")
}

// forwardedTwice asks as a Traefik does that trusts what its client has sent.
func forwardedTwice(t *testing.T) string {
	addr := start(t, 1, "auth://127.0.0.1:0 {\nICP\npeers 127.0.0.1\n}", nil).addr(t, "auth:")
	asked := func(args ...string) string {
		return curl(t, append(args, "http://"+addr+"/auth/forward")...)
	}
	const filed, unfiled = "X-Forwarded-Host: filed.example", "X-Forwarded-Host: unfiled.example"
	return fmt.Sprintf("%s %s, two %s %s %s, a list %s, another beside it %s, of a stranger %s", asked("-H", filed), asked("-H", unfiled),
		asked("-H", filed, "-H", unfiled), asked("-H", unfiled, "-H", filed), asked("-H", filed, "-H", filed), asked("-H", filed+", unfiled.example"), asked("-H", filed, "-H", "X-Original-Host: unfiled.example"),
		asked("--interface", "127.0.0.9", "-H", filed))
}

// envoyWithoutName checks connections without a name as Envoy's network filter does.
func envoyWithoutName(t *testing.T) string {
	var got []string
	for _, policy := range []string{"allow", "block"} {
		p := start(t, 1, "grpc://127.0.0.1:0 {\n"+strings.Replace(icpBlock, "{", "{\npolicy no-host "+policy, 1)+"\npeers 127.0.0.1\n}", nil)
		r, err := checks(t, dialGRPC(t, p.addr(t, "grpc:")), `destination { address { socket_address { address: "192.0.2.1" } } } tls_session { sni: "" }`)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, checked(t, r))
	}
	return strings.Join(got, ", ")
}

// framesRefused sends frames longer than was agreed, of unknown types, with numbers
// that do not end or payloads cut short: they end their connection with a reason,
// and nothing else.
func framesRefused(t *testing.T) (came string) {
	hasty(t, 300*time.Millisecond, func(t testing.TB, head time.Duration) {
		p := start(t, 1, fmt.Sprintf("spoe://127.0.0.1:0 {\nICP\npeers 127.0.0.1\ntimeouts head %s\n}", head), nil)
		beside := dialSPOE(t, "tcp", p.addr(t, "spoe:"))
		farewells := 0
		for _, tt := range []struct {
			name  string
			hello bool
			frame []byte
			want  string
		}{
			{"longer than agreed", true, []byte{0, 1, 0, 0}, "3"},
			{"longer than any", true, bytes.Repeat([]byte{0xff}, 100), "3"},
			{"an unknown type of argument", true, peer.NotifyFrame(1, 1, []byte("\x03icp\x01\x04host\x0a")), "4"},
			{"a bad number", true, peer.NotifyFrame(1, 1, bytes.Repeat([]byte{0xff}, 12)), "4"},
			{"a bad stream", true, append([]byte{0, 0, 0, 16, 3, 0, 0, 0, 1}, bytes.Repeat([]byte{0xff}, 11)...), "4"},
			{"a string beyond its frame", true, peer.NotifyFrame(1, 1, []byte("\x03icp\x01\x04host\x08\xf0\x7fa")), "4"},
			{"a frame that says nothing", true, []byte{0, 0, 0, 0}, "4"},
			{"in fragments", true, peer.Frame(peer.Notify, 0, 1, 1, peer.Message("icp")), "10"},
			{"asking before the hello", false, peer.NotifyFrame(1, 1, peer.Message("icp")), "4"},
			{"a hello of version 1", false, peer.Frame(peer.Hello, peer.FIN, 0, 0, peer.Items("supported-versions", "1.0", "max-frame-size", 16380, "capabilities", "")), "8"},
			{"nothing at all", false, nil, "2"},
			{"a hello that stops", false, peer.HelloFrame(16380)[:20], "2"},
			{"a question that stops", true, peer.NotifyFrame(1, 1, peer.Message("icp", "host", "filed.example"))[:20], "2"},
		} {
			raw, err := net.Dial("tcp", p.addr(t, "spoe:"))
			if err != nil {
				t.Fatal(err)
			}
			c := &peer.Client{Conn: raw}
			if tt.hello {
				if err := c.Send(peer.HelloFrame(16380)); err != nil {
					t.Fatal(err)
				}
				if a, err := c.Next(); err != nil || a.Kind != peer.AgentHello {
					t.Fatalf("%s: %v, %v", tt.name, a, err)
				}
			}
			if err := c.Send(tt.frame); err != nil {
				t.Fatal(err)
			}
			a, err := c.Next()
			if err != nil || a.Kind != peer.AgentDisconnect || a.Items["status-code"] != tt.want {
				t.Errorf("%s: %v, %v; want a farewell with %s", tt.name, a, err, tt.want)
			}
			if a, err := c.Next(); err != io.EOF {
				t.Errorf("%s: %v, %v after the farewell; want the end", tt.name, a, err)
			}
			c.Close()
			farewells++
		}
		came = fmt.Sprintf("%d farewells, beside them %s", farewells, asks(t, beside, "host", "filed.example"))
	})
	return came
}

// caddyCopies has Caddy ask, and compares what its client gets with the answer.
func caddyCopies(t *testing.T) string {
	command(t, "caddy")
	origin := newOrigin(t, new(seen))
	var got []string
	for _, block := range []string{"page", "redirect https://notice.example.com/icp"} {
		web, agent := freePort(t), freePort(t)
		start(t, 1, "auth://"+agent+" {\nICP\npeers 127.0.0.1\nblock "+block+"\n}", nil)
		serveCaddy(t, fences{"Caddyfile": caddyPort(web) + "\n\tforward_auth " + agent + " {\n\t\turi /auth/forward\n\t}\n\treverse_proxy " + origin + "\n}\n"}, web)
		if len(got) == 0 {
			got = append(got, fmt.Sprint(get(t, web, "filed.example").status))
		}
		a := get(t, web, "unfiled.example", "Accept", "text/html", "Accept-Language", "en")
		switch {
		case a.header.Get("Location") != "":
			got = append(got, fmt.Sprintf("%d to %s", a.status, a.header.Get("Location")))
		case strings.Contains(a.body, "has no ICP filing") && strings.HasPrefix(a.header.Get("Content-Type"), "text/html") && a.header.Get("X-ICP-Reason") == "unfiled":
			got = append(got, fmt.Sprintf("%d with the page", a.status))
		default:
			got = append(got, fmt.Sprintf("%+v", a))
		}
	}
	return strings.Join(got, ", ")
}

// apisixWithout asks as APISIX does by the configuration of docs/integrations, from
// which client_headers is taken.
func apisixWithout(t *testing.T) string {
	_, f, site, _ := startAsked(t, sections(t, "../docs/integrations/apisix.md")["A redirect, open"])
	a := newAPISIX(t, site, f["apisix.yaml"])
	a.shown = []string{"Content-Type"}
	got := get(t, a.serve(t), "unfiled.example", "Accept", "text/html")
	if got.header.Get("Location") == "" && strings.Contains(got.body, `href="https://notice.example.com/icp"`) {
		return fmt.Sprintf("%d without Location, the place in the body", got.status)
	}
	return fmt.Sprintf("%+v", got)
}
