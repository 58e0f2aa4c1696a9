package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httpauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	netauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

func init() {
	integrations["envoy.md#HTTP filter"] = tryEnvoyHTTP
	integrations["envoy.md#Network filter"] = tryEnvoyNetwork
	integrations["istio.md#CUSTOM, over gRPC"] = tryIstio
}

// envoyConfig reads a configuration as strictly as Envoy does: by its own types,
// and the rules that they carry.
func envoyConfig(t *testing.T, text string) *bootstrapv3.Bootstrap {
	t.Helper()
	js, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b := new(bootstrapv3.Bootstrap)
	if err := protojson.Unmarshal(js, b); err != nil {
		t.Fatal(err)
	}
	if err := b.ValidateAll(); err != nil {
		t.Fatal(err)
	}
	return b
}

// of opens a message in a message, and holds it to its rules.
func of[M interface {
	proto.Message
	ValidateAll() error
}](t *testing.T, a *anypb.Any, m M) M {
	t.Helper()
	if err := a.UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	if err := m.ValidateAll(); err != nil {
		t.Fatal(err)
	}
	return m
}

// envoy is what the configuration of a section has Envoy do.
type envoy struct {
	conn       *grpc.ClientConn
	timeout    time.Duration
	tlsSession bool
	extensions map[string]string
}

// newEnvoy connects as a configuration says.
func newEnvoy(t *testing.T, b *bootstrapv3.Bootstrap, service *corev3.GrpcService, tlsSession bool) *envoy {
	t.Helper()
	name := service.GetEnvoyGrpc().GetClusterName()
	for _, c := range b.GetStaticResources().GetClusters() {
		if c.GetName() == name {
			return &envoy{conn: dialGRPC(t, targetOf(t, c)), timeout: service.GetTimeout().AsDuration(), tlsSession: tlsSession}
		}
	}
	t.Fatalf("there is no cluster %s", name)
	return nil
}

// targetOf is the only address of a cluster, which must speak HTTP/2.
func targetOf(t *testing.T, c *clusterv3.Cluster) string {
	t.Helper()
	o := of(t, c.GetTypedExtensionProtocolOptions()["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"], new(upstreamv3.HttpProtocolOptions))
	if o.GetExplicitHttpConfig().GetHttp2ProtocolOptions() == nil {
		t.Fatalf("cluster %s speaks no HTTP/2", c.GetName())
	}
	a := c.GetLoadAssignment().GetEndpoints()[0].GetLbEndpoints()[0].GetEndpoint().GetAddress()
	if p := a.GetPipe().GetPath(); p != "" {
		return "unix:" + p
	}
	return fmt.Sprintf("%s:%d", a.GetSocketAddress().GetAddress(), a.GetSocketAddress().GetPortValue())
}

// check asks as Envoy does of what has come; a test's machine gets more time.
func (e *envoy) check(t *testing.T, attributes string) string {
	t.Helper()
	a, sni, _ := strings.Cut(attributes, " over ")
	if e.tlsSession && sni != "" {
		a += fmt.Sprintf(" tls_session { sni: %q }", strings.TrimSuffix(sni, "."))
	}
	for k, v := range e.extensions {
		a += fmt.Sprintf(" context_extensions { key: %q value: %q }", k, v)
	}
	r, err := checks(t, e.conn, a)
	if err != nil {
		t.Fatalf("%s: %v", attributes, err)
	}
	return checked(t, r)
}

// fails makes sure that a check fails at once, and does not hang, while the gate is
// gone.
func (e *envoy) fails(t *testing.T) {
	t.Helper()
	if e.timeout <= 0 || e.timeout > time.Second {
		t.Errorf("a request waits %s for the gate; want a second at most", e.timeout)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if r, err := authv3.NewAuthorizationClient(e.conn).Check(ctx, &authv3.CheckRequest{}); err == nil || ctx.Err() != nil {
		t.Errorf("without the gate: %v, %v; want an error at once", r, err)
	}
}

func tryEnvoyHTTP(t *testing.T, f fences) {
	addr := freePort(t)
	_, port, _ := strings.Cut(addr, ":")
	f = f.with(t, "127.0.0.1:9001", addr, "port_value: 9001", "port_value: "+port)
	b := envoyConfig(t, f["envoy.yaml"])
	hcm := of(t, b.GetStaticResources().GetListeners()[0].GetFilterChains()[0].GetFilters()[0].GetTypedConfig(), new(hcmv3.HttpConnectionManager))
	filter := of(t, hcm.GetHttpFilters()[0].GetTypedConfig(), new(httpauthzv3.ExtAuthz))
	if filter.GetTransportApiVersion() != corev3.ApiVersion_V3 || filter.GetFailureModeAllow() || filter.GetStatusOnError().GetCode() != 503 {
		t.Errorf("the filter is %v; want version 3, and closed with 503", filter)
	}
	p := start(t, 1, f["gate.conf"], nil)
	e := newEnvoy(t, b, filter.GetGrpcService(), filter.GetIncludeTlsSession())
	for asked, want := range map[string]string{
		httpCheck("filed.example") + " over filed.example.":   "ok pass accessed",
		httpCheck("unfiled.example") + " over filed.example.": "denied block unfiled 403",
		httpCheck("filed.example") + " over unfiled.example.": "denied block unfiled 403",
		httpCheck("elsewhere.example"):                        "denied block not-accessed 403",
	} {
		if got := e.check(t, asked); got != want {
			t.Errorf("%s: %s; want %s", asked, got, want)
		}
	}
	e.extensions = routeExtensions(t, hcm.GetRouteConfig().GetVirtualHosts()[0].GetRoutes()[0])
	if got := e.check(t, httpCheck("elsewhere.example")); got != "ok pass filed" {
		t.Errorf("by the route for static files, %v: %s; want a filing to be enough", e.extensions, got)
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	e.fails(t)
}

func routeExtensions(t *testing.T, r *routev3.Route) map[string]string {
	t.Helper()
	return of(t, r.GetTypedPerFilterConfig()["envoy.filters.http.ext_authz"], new(httpauthzv3.ExtAuthzPerRoute)).GetCheckSettings().GetContextExtensions()
}

func tryEnvoyNetwork(t *testing.T, f fences) {
	f = f.with(t, "/run/icp-gate/ask.sock", filepath.Join(t.TempDir(), "icp-gate.sock"))
	b := envoyConfig(t, f["envoy.yaml"])
	l := b.GetStaticResources().GetListeners()[0]
	filter := of(t, l.GetFilterChains()[0].GetFilters()[0].GetTypedConfig(), new(netauthzv3.ExtAuthz))
	if filter.GetTransportApiVersion() != corev3.ApiVersion_V3 || !filter.GetFailureModeAllow() || !filter.GetIncludeTlsSession() ||
		l.GetListenerFilters()[0].GetName() != "envoy.filters.listener.tls_inspector" {
		t.Errorf("the filter is %v; want version 3, open, and with the name in the hello", filter)
	}
	p := start(t, 1, f["gate.conf"], nil)
	e := newEnvoy(t, b, filter.GetGrpcService(), filter.GetIncludeTlsSession())
	at := func(addr string) string {
		return "destination { address { socket_address { address: \"" + addr + "\" } } }"
	}
	for asked, want := range map[string]string{
		" over filed.example.":                    "ok pass accessed",
		" over unfiled.example.":                  "denied block unfiled",
		" over .":                                 "denied block no-host-refused",
		at("10.0.0.1") + " over unfiled.example.": "denied block unfiled",
		at("8.8.8.8") + " over unfiled.example.":  "ok pass outside-mainland",
	} {
		if got := e.check(t, asked); got != want {
			t.Errorf("%s: %s; want %s", asked, got, want)
		}
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	e.fails(t)
}

// tryIstio holds the resources against each other, and asks as a gateway does. Of
// Istio's own types there are none here: what is read is what the document names.
func tryIstio(t *testing.T, f fences) {
	var mesh struct {
		ExtensionProviders []struct {
			Name              string
			EnvoyExtAuthzGrpc struct {
				Service, Timeout, StatusOnError string
				Port                            int
				FailOpen                        bool
			}
		}
	}
	strictly(t, f["mesh.yaml"], &mesh)
	type meta struct{ Name, Namespace string }
	var policy struct {
		APIVersion, Kind string
		Metadata         meta
		Spec             struct {
			Selector struct{ MatchLabels map[string]string }
			Action   string
			Provider struct{ Name string }
			Rules    []struct{}
		}
	}
	strictly(t, f["policy.yaml"], &policy)
	var service struct {
		APIVersion, Kind string
		Metadata         meta
		Spec             struct {
			Selector map[string]string
			Ports    []struct {
				Name, AppProtocol string
				Port, TargetPort  int
			}
		}
	}
	strictly(t, f["service.yaml"], &service)
	provider := mesh.ExtensionProviders[0]
	timeout, err := time.ParseDuration(provider.EnvoyExtAuthzGrpc.Timeout)
	if err != nil || timeout > time.Second {
		t.Errorf("timeout %s, %v; want a second at most", timeout, err)
	}
	host := service.Metadata.Name + "." + service.Metadata.Namespace + ".svc.cluster.local"
	port := service.Spec.Ports[0]
	if policy.Kind != "AuthorizationPolicy" || policy.Spec.Action != "CUSTOM" || policy.Spec.Provider.Name != provider.Name || len(policy.Spec.Rules) != 1 ||
		provider.EnvoyExtAuthzGrpc.Service != host || provider.EnvoyExtAuthzGrpc.Port != port.Port || port.AppProtocol != "grpc" ||
		!strings.Contains(f["gate.conf"], fmt.Sprintf("grpc://:%d ", port.TargetPort)) {
		t.Errorf("the resources do not fit together: %+v %+v %+v", mesh, policy, service)
	}
	addr := freePort(t)
	f = f.with(t, "grpc://:9001", "grpc://"+addr, "10.0.0.0/8", "127.0.0.0/8")
	start(t, 1, f["gate.conf"], nil)
	e := &envoy{conn: dialGRPC(t, addr)}
	for host, want := range map[string]string{"filed.example": "ok pass accessed", "unfiled.example": "denied block unfiled 403"} {
		if got := e.check(t, httpCheck(host)); got != want {
			t.Errorf("%s: %s; want %s", host, got, want)
		}
	}
}

// strictly reads YAML, all of whose keys must be known.
func strictly(t *testing.T, text string, into any) {
	t.Helper()
	js, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(js))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
}
