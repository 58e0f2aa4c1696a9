package extauthz_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		got, _, ok := extauthz.Question(marshal(t, check(t, "attributes { "+tt.attributes+" }")))
		if tt.want.Channel == 0 {
			tt.want.Channel = registry.ChannelHTTP
		}
		if got != tt.want || !ok {
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
		if _, got, _ := extauthz.Question(marshal(t, check(t, `attributes { request { http { method: "HEAD" `+headers+` } } }`))); got != want {
			t.Errorf("%s: %+v; want %+v", headers, got, want)
		}
	}
}

// recorded are checks as Envoy makes them.
func recorded(t testing.TB) (list [][]byte) {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.textproto")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%v, %v", paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, marshal(t, check(t, string(text))))
	}
	return list
}

func marshal(t testing.TB, req *authv3.CheckRequest) []byte {
	t.Helper()
	b, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzQuestion holds what is read of a check's bytes against what the generated
// types read: the same question, or a refusal where a host comes twice. A host
// that is taken is the one that every field names that a server behind Envoy may
// go by.
func FuzzQuestion(f *testing.F) {
	for _, b := range recorded(f) {
		f.Add(b)
		f.Add(append(b, b...)) // messages that come twice add up
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		q, r, ok := extauthz.Question(b)
		req := new(authv3.CheckRequest)
		if err := proto.Unmarshal(b, req); err != nil {
			return // there are more rules than we need to hold to, such as those of UTF-8
		}
		if !ok {
			t.Fatal("refused a message of protobuf")
		}
		want, reader := slowQuestion(req)
		if q.Cause == sniff.HostDiffers && want.Cause != sniff.HostDiffers {
			return // a host came twice, and the last one counts there
		}
		http := req.GetAttributes().GetRequest().GetHttp()
		if len(http.GetHeaders()) > 0 && len(http.GetHeaderMap().GetHeaders()) > 0 {
			reader = r // which of the two counts depends on which came last
		}
		if q != want || r != reader {
			t.Fatalf("read %+v %+v; want %+v %+v", q, r, want, reader)
		}
		if q.Cause == sniff.NoCause {
			held(t, q, req)
		}
	})
}

// held makes sure that a question is about all hosts that a check names.
func held(t *testing.T, q authz.Question, req *authv3.CheckRequest) {
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
		if key := h.GetKey(); key == "host" || key == ":authority" {
			list = append(list, valueOf(h))
		}
	}
	return list
}

// BenchmarkQuestion is what it takes to read a check, beside the generated types.
func BenchmarkQuestion(b *testing.B) {
	wire := recorded(b)[0]
	b.Run("bytes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			extauthz.Question(wire)
		}
	})
	b.Run("types", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			req := new(authv3.CheckRequest)
			if err := proto.Unmarshal(wire, req); err != nil {
				b.Fatal(err)
			}
			slowQuestion(req)
		}
	})
}
