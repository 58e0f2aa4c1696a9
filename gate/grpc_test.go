package gate_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// dialGRPC connects as Envoy does: to HOST:PORT or unix:PATH.
func dialGRPC(t testing.TB, target string) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient("passthrough:///"+target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// checks sends a check, whose attributes are given as text.
func checks(t testing.TB, c *grpc.ClientConn, attributes string) (*authv3.CheckResponse, error) {
	t.Helper()
	req := new(authv3.CheckRequest)
	if err := prototext.Unmarshal([]byte("attributes { "+attributes+" }"), req); err != nil {
		t.Fatalf("%s: %v", attributes, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return authv3.NewAuthorizationClient(c).Check(ctx, req)
}

// checked is an answer in words: ok or denied, verdict and reason, and of a page its
// status and where it leads.
func checked(t testing.TB, r *authv3.CheckResponse) string {
	t.Helper()
	fields := r.GetDynamicMetadata().GetFields()
	s := fields["verdict"].GetStringValue() + " " + fields["reason"].GetStringValue()
	id := fields["id"].GetStringValue()
	if r.GetStatus().GetCode() == int32(codes.OK) {
		if h := r.GetOkResponse().GetHeaders(); id != "" || r.GetDeniedResponse() != nil || h != nil && headerOf(h, "x-icp-reason") != fields["reason"].GetStringValue() {
			t.Errorf("ok with an id or a page, or another reason: %v", r)
		}
		return "ok " + s
	}
	if id == "" || codes.Code(r.GetStatus().GetCode()) != codes.PermissionDenied || r.GetOkResponse() != nil {
		t.Errorf("denied without an id, or with another code: %v", r)
	}
	s = "denied " + s
	if d := r.GetDeniedResponse(); d != nil {
		s += fmt.Sprintf(" %d", d.GetStatus().GetCode())
		if to := headerOf(d.GetHeaders(), "location"); to != "" {
			s += " to " + to
		}
	}
	return s
}

func headerOf(list []*corev3.HeaderValueOption, key string) string {
	for _, h := range list {
		if h.GetHeader().GetKey() == key {
			return h.GetHeader().GetValue()
		}
	}
	return ""
}

func httpCheck(host string) string {
	return fmt.Sprintf("request { http { host: %q path: \"/\" } }", host)
}

func TestGRPC(t *testing.T) {
	p := start(t, 4, `
grpc://127.0.0.1:0 {
	ICP
	peers 127.0.0.1
}
grpc://127.0.0.2:0 {
	icp {
		registry registry.icp
		provider aliyun
		mode monitor
	}
	serves mainland
	peers 127.0.0.0/8
	reflection on
}
grpc://127.0.0.3:0 {
	icp {
		registry registry.icp
		provider aliyun
		clients exempt 198.51.100.99
		policy no-host block
	}
	serves asked mainland
	peers 127.0.0.0/8
	block redirect https://notice.example.net/
}
grpc://unix:envoy.sock {
	ICP
	block page status 451
	notice blocked-by https://example.org/
}`, nil)
	source := func(a string) string { return "source { address { socket_address { address: \"" + a + "\" } } } " }
	dst := func(a string) string {
		return "destination { address { socket_address { address: \"" + a + "\" } } } "
	}
	sni := func(s string) string { return "tls_session { sni: \"" + s + "\" } " }
	const notice = "https://notice.example.net/?host=unfiled.example&reason="
	for target, tests := range map[string][][2]string{
		p.addr(t, "grpc://127.0.0.1:"): {
			{httpCheck("www.filed.example:8443"), "ok pass accessed"},
			{httpCheck("unfiled.example"), "denied block unfiled 403"},
			{httpCheck("elsewhere.example"), "denied block not-accessed 403"},
			{httpCheck("elsewhere.example") + ` context_extensions { key: "product" value: "cdn" }`, "ok pass filed"},
			{httpCheck("192.0.2.1"), "ok pass ip-literal"},
			{httpCheck("filed.example,unfiled.example"), "denied block malformed 400"},
			{`request { http { host: "filed.example" headers { key: "host" value: "unfiled.example" } } }`, "denied block malformed 400"},
			{`request { http { host: "filed.example" header_map { headers { key: "host" raw_value: "unfiled.example" } } } }`, "denied block malformed 400"},
			{sni("filed.example") + httpCheck("unfiled.example"), "denied block unfiled 403"},
			{sni("unfiled.example") + httpCheck("filed.example"), "denied block unfiled 403"},
			{sni("filed.example") + httpCheck("filed.example"), "ok pass accessed"},
			{sni("filed.example"), "ok pass accessed"},
			{sni("unfiled.example"), "denied block unfiled"},
			{sni("a b"), "denied block malformed"},
			{sni(""), "ok pass no-host"}, // I04, by default
			{dst("8.8.8.8") + httpCheck("unfiled.example"), "denied block unfiled 403"},
		},
		p.addr(t, "grpc://127.0.0.2:"): {
			{httpCheck("unfiled.example"), "ok block unfiled"},
			{sni("unfiled.example"), "ok block unfiled"},
			{httpCheck("a b"), "denied block malformed 400"},
			{sni("a b"), "ok block malformed"},
		},
		p.addr(t, "grpc://127.0.0.3:"): {
			{httpCheck("unfiled.example"), "denied block unfiled 302 to " + notice + "unfiled"},
			{source("198.51.100.99") + httpCheck("unfiled.example"), "ok pass exempt"},
			{source("198.51.100.7") + httpCheck("unfiled.example"), "denied block unfiled 302 to " + notice + "unfiled"},
			{dst("8.8.8.8") + httpCheck("unfiled.example"), "ok pass outside-mainland"},
			{dst("10.0.0.1") + httpCheck("unfiled.example"), "denied block unfiled 302 to " + notice + "unfiled"},
			{dst("10.0.0.1") + httpCheck("unfiled.example") + ` context_extensions { key: "addr" value: "8.8.8.8" }`, "ok pass outside-mainland"},
			{sni(""), "denied block no-host-refused"}, // I04, by the policy
		},
		"unix:" + filepath.Join(p.dir, "envoy.sock"): {
			{httpCheck("unfiled.example"), "denied block unfiled 451"},
			{httpCheck("filed.example"), "ok pass accessed"},
		},
	} {
		c := dialGRPC(t, target)
		for _, tt := range tests {
			r, err := checks(t, c, tt[0])
			if err != nil {
				t.Fatalf("%s %s: %v", target, tt[0], err)
			}
			if got := checked(t, r); got != tt[1] {
				t.Errorf("%s %s:\n%s; want\n%s", target, tt[0], got, tt[1])
			}
		}
	}
	for target, want := range map[string]bool{"grpc://127.0.0.1:": false, "grpc://127.0.0.2:": true} {
		if got := reflects(t, dialGRPC(t, p.addr(t, target))); got != want {
			t.Errorf("%s: reflection %v; want %v", target, got, want)
		}
	}
}

// reflects asks a server which services it has.
func reflects(t *testing.T, c *grpc.ClientConn) bool {
	t.Helper()
	stream, err := reflectionv1.NewServerReflectionClient(c).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{ListServices: "*"}})
	r, err := stream.Recv()
	if status.Code(err) == codes.Unimplemented {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(r.GetListServicesResponse().GetService(), func(s *reflectionv1.ServiceResponse) bool {
		return s.GetName() == "envoy.service.auth.v3.Authorization"
	})
}

// TestGRPCPage: a denied client is shown what the gate shows itself, in its
// language and form.
func TestGRPCPage(t *testing.T) {
	p := start(t, 1, "grpc://127.0.0.1:0 {\nICP\npeers 127.0.0.1\nnotice provider \"Example Cloud\"\n}", nil)
	c := dialGRPC(t, p.addr(t, "grpc:"))
	for _, tt := range []struct{ method, accept, language, kind, body string }{
		{"GET", "text/html", "zh-CN", "text/html; charset=utf-8", "该网站未完成备案"},
		{"GET", "text/html", "en", "text/html; charset=utf-8", "has no ICP filing"},
		{"GET", "application/json", "en", "application/json", `"reason":"unfiled"`},
		{"GET", "*/*", "en", "text/plain; charset=utf-8", "Website: unfiled.example"},
		{"HEAD", "text/html", "en", "text/html; charset=utf-8", ""},
	} {
		r, err := checks(t, c, fmt.Sprintf(`request { http { method: %q host: "unfiled.example" headers { key: "accept" value: %q } headers { key: "accept-language" value: %q } } }`, tt.method, tt.accept, tt.language))
		if err != nil {
			t.Fatal(err)
		}
		d := r.GetDeniedResponse()
		h := d.GetHeaders()
		if headerOf(h, "content-type") != tt.kind || !strings.Contains(d.GetBody(), tt.body) || (tt.body == "") != (d.GetBody() == "") {
			t.Errorf("%+v: %s %s", tt, headerOf(h, "content-type"), d.GetBody())
		}
		id := r.GetDynamicMetadata().GetFields()["id"].GetStringValue()
		if headerOf(h, "x-icp-reason") != "unfiled" || headerOf(h, "cache-control") != "no-store" || headerOf(h, "x-icp-request-id") != id || id == "" {
			t.Errorf("%+v: headers %v", tt, h)
		}
		for _, name := range []string{"content-length", "date", "connection"} {
			if v := headerOf(h, name); v != "" {
				t.Errorf("%s: %s, which is Envoy's to say", name, v)
			}
		}
	}
}

// TestGRPCUndecided: without a registry it is as the configuration says, and so is
// the health service.
func TestGRPCUndecided(t *testing.T) {
	for fail, want := range map[registry.FailPolicy]string{registry.FailOpen: "ok pass undecided", registry.FailClosed: "denied block undecided 403"} {
		l := serve(t, gate.TestService{Kind: "grpc", Notices: newNotices(t, gate.NoticeConfig{}), Edge: newEdge(t, func(c *edge.Config) {
			c.Live = new(index.Live)
			c.Policy.Fail = fail
		})})
		c := dialGRPC(t, l.Addr())
		r, err := checks(t, c, httpCheck("filed.example"))
		if err != nil {
			t.Fatal(err)
		}
		if got := checked(t, r); got != want {
			t.Errorf("%v: %s; want %s", fail, got, want)
		}
		for _, service := range []string{"", "envoy.service.auth.v3.Authorization"} {
			h, err := healthv1.NewHealthClient(c).Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
			if err != nil || (h.GetStatus() == healthv1.HealthCheckResponse_SERVING) != (fail == registry.FailOpen) {
				t.Errorf("%v: health of %q is %v, %v", fail, service, h, err)
			}
		}
	}
}

// TestGRPCPeers: who is not listed is not even heard.
func TestGRPCPeers(t *testing.T) {
	p := start(t, 1, "grpc://127.0.0.1:0 {\nICP\npeers 127.0.0.9\n}", nil)
	if _, err := checks(t, dialGRPC(t, p.addr(t, "grpc:")), httpCheck("filed.example")); status.Code(err) != codes.Unavailable {
		t.Errorf("an unlisted peer: %v; want it refused", err)
	}
}

// TestGRPCGarbage: what is no gRPC, and checks that are too long, end what they
// came over and nothing else.
func TestGRPCGarbage(t *testing.T) {
	hasty(t, 300*time.Millisecond, func(t testing.TB, head time.Duration) {
		p := start(t, 1, fmt.Sprintf("grpc://127.0.0.1:0 {\nICP\npeers 127.0.0.1\ntimeouts head %s\n}", head), nil)
		c := dialGRPC(t, p.addr(t, "grpc:"))
		for _, s := range []string{"", "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff", strings.Repeat("\x16\x03\x01", 100)} {
			raw(t, p.addr(t, "grpc:"), []byte(s), true)
		}
		long := fmt.Sprintf(`request { http { host: "filed.example" body: "%s" } }`, strings.Repeat("a", 17<<20))
		if _, err := checks(t, c, long); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("a check of 17 MiB: %v; want it refused", err)
		}
		if r, err := checks(t, c, httpCheck("filed.example")); err != nil || checked(t, r) != "ok pass accessed" {
			t.Errorf("after that: %v, %v", r, err)
		}
		if strings.Contains(p.log.String(), "panic") {
			t.Error(p.log)
		}
	})
}

// TestGRPCLongCheck: the longest head that an Envoy can take of a client is answered.
func TestGRPCLongCheck(t *testing.T) {
	p := start(t, 1, "grpc://127.0.0.1:0 {\nICP\npeers 127.0.0.1\n}", nil)
	long := strings.Repeat("a", 7<<20)
	r, err := checks(t, dialGRPC(t, p.addr(t, "grpc:")), `request { http { host: "unfiled.example" path: "/`+long+`" headers { key: ":path" value: "/`+long+`" } } }`)
	if err != nil {
		t.Fatal(err)
	}
	if got := checked(t, r); got != "denied block unfiled 403" {
		t.Errorf("%s; want it denied", got)
	}
}

// TestGRPCBounds: how many checks run at a time is announced, and who asks all the
// time whether we are there is sent away.
func TestGRPCBounds(t *testing.T) {
	p := start(t, 1, "grpc://127.0.0.1:0 {\nICP\npeers 127.0.0.1\n}", nil)
	c, err := net.Dial("tcp", p.addr(t, "grpc:"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(c, c)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	streams := uint32(0)
	for pings := 0; ; {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("after %d pings: %v; want to be sent away", pings, err)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if n, ok := frame.Value(http2.SettingMaxConcurrentStreams); ok {
				streams = n
			}
		case *http2.GoAwayFrame:
			if frame.ErrCode != http2.ErrCodeEnhanceYourCalm || pings < 2 || streams != 1024 {
				t.Errorf("%v after %d pings, with %d streams", frame.ErrCode, pings, streams)
			}
			return
		}
		if _, isAck := frame.(*http2.SettingsFrame); isAck || pings > 0 {
			_ = f.WritePing(false, [8]byte{})
			pings++
		}
	}
}
