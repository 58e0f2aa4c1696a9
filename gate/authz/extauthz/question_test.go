package extauthz_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/authz/extauthz"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

func check(t testing.TB, text string) *authv3.CheckRequest {
	t.Helper()
	req := new(authv3.CheckRequest)
	if err := prototext.Unmarshal([]byte(text), req); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return req
}

func named(s string) registry.Host { return registry.Host{Name: registry.MustParseDomain(s)} }

func TestQuestion(t *testing.T) {
	at := netip.MustParseAddr
	for _, tt := range []struct {
		name, attributes string
		want             authz.Question
	}{
		{"a request", `request { http { method: "GET" host: "www.filed.example:8080" path: "/" scheme: "http" } }`,
			authz.Question{Host: named("www.filed.example"), Channel: registry.ChannelHTTP}},
		{"over TLS, by its scheme", `request { http { host: "filed.example" scheme: "https" } }`,
			authz.Question{Host: named("filed.example"), Channel: registry.ChannelHTTPS}},
		{"over TLS, with a name in the hello", `request { http { host: "a.example" } } tls_session { sni: "B.example" }`,
			authz.Question{Host: named("a.example"), SNI: named("b.example"), Channel: registry.ChannelHTTPS}},
		{"addresses", `source { address { socket_address { address: "198.51.100.7" port_value: 1 } } } destination { address { socket_address { address: "::ffff:203.0.113.1" port_value: 443 } } } request { http { host: "a.example" } }`,
			authz.Question{Host: named("a.example"), Client: at("198.51.100.7"), Addr: at("203.0.113.1")}},
		{"sockets of the file system", `source { address { pipe { path: "/run/a.sock" } } } request { http { host: "a.example" } }`, authz.Question{Host: named("a.example")}},
		{"an address with a zone", `source { address { socket_address { address: "fe80::1%eth0" } } } request { http { host: "a.example" } }`, authz.Question{Host: named("a.example")}},
		{"headers that agree", `request { http { host: "a.example" headers { key: ":authority" value: "A.example" } headers { key: "accept" value: "*/*" } } }`, authz.Question{Host: named("a.example")}},
		{"headers alone", `request { http { headers { key: ":authority" value: "a.example" } } }`, authz.Question{Host: named("a.example")}},
		{"a header that differs", `request { http { host: "a.example" headers { key: ":authority" value: "b.example" } } }`, authz.Question{Cause: sniff.HostDiffers}},
		{"host beside :authority", `request { http { host: "a.example" headers { key: ":authority" value: "a.example" } headers { key: "host" value: "b.example" } } }`, authz.Question{Cause: sniff.HostDiffers}},
		{"an empty host beside :authority", `request { http { host: "a.example" headers { key: "host" value: "" } } }`, authz.Question{Cause: sniff.HostDiffers}},
		{"raw headers", `request { http { header_map { headers { key: ":authority" raw_value: "a.example" } headers { key: "accept" raw_value: "*/*" } } } }`, authz.Question{Host: named("a.example")}},
		{"raw headers twice", `request { http { host: "a.example" header_map { headers { key: ":authority" raw_value: "a.example" } headers { key: "Host" raw_value: "b.example" } } } }`, authz.Question{Cause: sniff.HostDiffers}},
		{"raw headers, and the last agrees", `request { http { host: "a.example" header_map { headers { key: "host" raw_value: "b.example" } headers { key: "host" raw_value: "a.example" } } } }`, authz.Question{Cause: sniff.HostDiffers}},
		{"merged headers", `request { http { headers { key: "host" value: "a.example,b.example" } } }`, authz.Question{Cause: sniff.BadHost}},
		{"no host", `request { http { path: "/" } }`, authz.Question{}},
		{"an address as a host", `request { http { host: "203.0.113.1:80" } }`, authz.Question{Host: registry.Host{Addr: at("203.0.113.1")}}},
		{"no host at all", `request { http { host: "a.example:80@b.example" } }`, authz.Question{Cause: sniff.BadHost}},
		{"a challenge", `request { http { host: "a.example" path: "/.well-known/acme-challenge/x" } }`,
			authz.Question{Host: registry.Host{Name: registry.MustParseDomain("a.example"), ACME: true}}},
		{"a bad name in the hello", `request { http { host: "a.example" } } tls_session { sni: "b example" }`,
			authz.Question{Host: named("a.example"), Cause: sniff.BadName, Channel: registry.ChannelHTTPS}},
		{"a connection", `tls_session { sni: "a.example" }`, authz.Question{Host: named("a.example"), Unread: true, Channel: registry.ChannelHTTPS}},
		{"a connection without a name (I04)", `tls_session { }`, authz.Question{Unread: true, Channel: registry.ChannelHTTPS}},
		{"a connection of which nothing is told (I04)", `source { principal: "x" }`, authz.Question{Unread: true, Channel: registry.ChannelHTTPS}},
		{"what the operator tells", `request { http { host: "a.example" } } destination { address { socket_address { address: "10.0.0.1" } } } context_extensions { key: "addr" value: "203.0.113.9" } context_extensions { key: "product" value: "cdn" } context_extensions { key: "more" value: "x" }`,
			authz.Question{Host: named("a.example"), Addr: at("203.0.113.9"), Product: registry.CDN}},
		{"an address that is none", `request { http { host: "a.example" } } context_extensions { key: "addr" value: "a.example" }`, authz.Question{Host: named("a.example"), Cause: sniff.BadAddress}},
		{"a product that is none", `request { http { host: "a.example" } } context_extensions { key: "product" value: "x" }`, authz.Question{Host: named("a.example"), Cause: sniff.BadProduct}},
	} {
		got, _ := extauthz.Question(check(t, "attributes { "+tt.attributes+" }"))
		if tt.want.Channel == 0 {
			tt.want.Channel = registry.ChannelHTTP
		}
		if got != tt.want {
			t.Errorf("%s:\n%+v; want\n%+v", tt.name, got, tt.want)
		}
	}
}

func TestReader(t *testing.T) {
	want := authz.Reader{Accept: "text/html", Language: "zh", Head: true}
	for _, headers := range []string{
		`headers { key: "accept" value: "text/html" } headers { key: "accept-language" value: "zh" }`,
		`header_map { headers { key: "accept" raw_value: "text/html" } headers { key: "accept-language" raw_value: "zh" } }`,
	} {
		if _, got := extauthz.Question(check(t, `attributes { request { http { method: "HEAD" `+headers+` } } }`)); got != want {
			t.Errorf("%s: %+v; want %+v", headers, got, want)
		}
	}
}

// FuzzQuestion: whatever a check holds, a host that is taken is the one that each
// field names that a server behind Envoy may go by.
func FuzzQuestion(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.textproto")
	if err != nil || len(paths) == 0 {
		f.Fatalf("%v, %v", paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		b, err := proto.Marshal(check(f, string(text)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		req := new(authv3.CheckRequest)
		if proto.Unmarshal(b, req) != nil {
			return
		}
		q, _ := extauthz.Question(req)
		if q.Cause != sniff.NoCause {
			return
		}
		host := registry.Host{Name: q.Host.Name, Addr: q.Host.Addr}
		for _, s := range namesOf(req) {
			if kind, text, _ := sniff.Authority(s); kind == sniff.Malformed || strings.Contains(s, ",") {
				t.Fatalf("took %v although %q stands there too", host, s)
			} else if h, ok := authz.HostOf(kind, []byte(text)); !ok || h != host {
				t.Fatalf("took %v although %v stands there too", host, h)
			}
		}
		if sni := req.GetAttributes().GetTlsSession().GetSni(); sni != "" {
			h, _ := authz.HostOf(sniff.KindOf([]byte(sni)), []byte(sni))
			if want := map[bool]registry.Host{true: q.Host, false: q.SNI}[q.Unread]; h != want {
				t.Fatalf("took %+v; the hello names %q", q, sni)
			}
		}
	})
}

// namesOf lists all that names the host of a request.
func namesOf(req *authv3.CheckRequest) (list []string) {
	http := req.GetAttributes().GetRequest().GetHttp()
	if http.GetHost() != "" {
		list = append(list, http.GetHost())
	}
	for key, value := range http.GetHeaders() {
		if key == "host" || key == ":authority" {
			list = append(list, value)
		}
	}
	for _, h := range http.GetHeaderMap().GetHeaders() {
		if key := strings.ToLower(h.GetKey()); key == "host" || key == ":authority" {
			list = append(list, headerValue(h))
		}
	}
	return list
}

func headerValue(h *corev3.HeaderValue) string {
	if len(h.GetRawValue()) > 0 {
		return string(h.GetRawValue())
	}
	return h.GetValue()
}
