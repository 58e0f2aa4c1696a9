package gate_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	httpauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"sigs.k8s.io/yaml"
)

func init() {
	integrations["traefik.md#ForwardAuth"] = tryTraefik
	integrations["apisix.md#The page"] = tryAPISIXPage
	integrations["apisix.md#A redirect, open"] = tryAPISIXRedirect
	integrations["envoy-http.md#Envoy"] = tryEnvoyOverHTTP
	integrations["envoy-http.md#Istio"] = tryIstioOverHTTP
}

// startAsked starts the gate of a section that is asked at a port, and a web server
// at another.
func startAsked(t *testing.T, f fences) (p *program, g fences, site *url.URL, s *seen) {
	t.Helper()
	s = new(seen)
	origin, agent := newOrigin(t, s), freePort(t)
	_, port, _ := strings.Cut(agent, ":")
	g = f.patiently("127.0.0.1:9155", agent, "auth://:9155", "auth://"+agent, "port_value: 9155", "port_value: "+port, "127.0.0.1:8080", origin)
	return start(t, 1, g["gate.conf"], nil), g, &url.URL{Scheme: "http", Host: origin}, s
}

// readYAML reads a file of a section; fields that are not expected are an error.
func readYAML(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

// traefikDynamic is what is read of Traefik's file.
type traefikDynamic struct {
	HTTP struct {
		Middlewares map[string]struct {
			ForwardAuth struct {
				Address            string   `json:"address"`
				TrustForwardHeader *bool    `json:"trustForwardHeader"`
				AuthRequestHeaders []string `json:"authRequestHeaders"`
			} `json:"forwardAuth"`
		} `json:"middlewares"`
		Routers map[string]struct {
			EntryPoints []string `json:"entryPoints"`
			Rule        string   `json:"rule"`
			Middlewares []string `json:"middlewares"`
			Service     string   `json:"service"`
		} `json:"routers"`
		Services map[string]any `json:"services"`
	} `json:"http"`
}

// tryTraefik asks as ForwardAuth does: GET, with the client's headers that are
// listed and those that tell of it, set anew.
func tryTraefik(t *testing.T, f fences) {
	p, f, site, s := startAsked(t, f)
	var c traefikDynamic
	readYAML(t, f["dynamic.yaml"], &c)
	router := c.HTTP.Routers["site"]
	auth := c.HTTP.Middlewares[router.Middlewares[0]].ForwardAuth
	if auth.TrustForwardHeader == nil || *auth.TrustForwardHeader || c.HTTP.Services[router.Service] == nil {
		t.Fatalf("%+v: a client's own word is trusted, or nobody serves", c)
	}
	tryStandIn(t, standIn{site: site, passes: is2xx, failed: 500, timeout: 30 * time.Second, question: func(r *http.Request) *http.Request {
		q := newQuestion(t, http.MethodGet, auth.Address)
		take(q.Header, r, auth.AuthRequestHeaders)
		q.Header.Set("X-Forwarded-For", clientIP(r))
		q.Header.Set("X-Forwarded-Method", r.Method)
		q.Header.Set("X-Forwarded-Proto", "http")
		q.Header.Set("X-Forwarded-Host", r.Host)
		q.Header.Set("X-Forwarded-Uri", r.URL.RequestURI())
		return q
	}}, p, s, 500)
}

// apisixRules are what is read of APISIX's file.
type apisixRules struct {
	Rules []struct {
		ID      string `json:"id"`
		Plugins map[string]struct {
			URI              string            `json:"uri"`
			Timeout          int               `json:"timeout"` // milliseconds
			StatusOnError    int               `json:"status_on_error"`
			AllowDegradation bool              `json:"allow_degradation"`
			ExtraHeaders     map[string]string `json:"extra_headers"`
			RequestHeaders   []string          `json:"request_headers"`
			ClientHeaders    []string          `json:"client_headers"`
		} `json:"plugins"`
	} `json:"global_rules"`
	Routes []any `json:"routes"`
}

// newAPISIX asks as forward-auth does: GET, with five headers of its own and those
// that are listed; below 300 is a pass.
func newAPISIX(t *testing.T, site *url.URL, text string) standIn {
	t.Helper()
	var c apisixRules
	readYAML(t, strings.TrimSuffix(text, "#END\n"), &c)
	auth := c.Rules[0].Plugins["forward-auth"]
	if !strings.HasSuffix(text, "\n#END\n") || len(c.Routes) != 1 || auth.Timeout == 0 {
		t.Fatalf("%+v: no end, route or time", c)
	}
	s := standIn{site: site, passes: func(status int) bool { return status < 300 }, shown: auth.ClientHeaders, failed: auth.StatusOnError, timeout: time.Minute}
	if auth.AllowDegradation {
		s.failed = 0
	}
	s.question = func(r *http.Request) *http.Request {
		q := newQuestion(t, http.MethodGet, auth.URI)
		q.Header.Set("X-Forwarded-Proto", "http")
		q.Header.Set("X-Forwarded-Method", r.Method)
		q.Header.Set("X-Forwarded-Host", nginxHost(r))
		q.Header.Set("X-Forwarded-Uri", r.URL.RequestURI())
		q.Header.Set("X-Forwarded-For", clientIP(r))
		for name, value := range auth.ExtraHeaders {
			if value != "$http_host" {
				t.Errorf("%s: %s is no variable that is known here", name, value)
			}
			q.Header.Set(name, r.Host)
		}
		take(q.Header, r, auth.RequestHeaders)
		return q
	}
	return s
}

func tryAPISIXPage(t *testing.T, f fences) {
	p, f, site, s := startAsked(t, f)
	tryStandIn(t, newAPISIX(t, site, f["apisix.yaml"]), p, s, 503)
}

// tryAPISIXRedirect (I08): the redirect comes to the client where Location is
// listed; where it is not, the body names the place.
func tryAPISIXRedirect(t *testing.T, f fences) {
	p, f, site, s := startAsked(t, f)
	a := newAPISIX(t, site, f["apisix.yaml"])
	web := a.serve(t)
	wanted{"filed.example", 200, "GET filed.example"}.try(t, web)
	wanted{"unfiled.example", 302, "https://notice.example.com/icp?host=unfiled.example&reason=unfiled"}.try(t, web)
	trick(t, web, s)
	a.shown = []string{"Content-Type"}
	got := get(t, a.serve(t), "unfiled.example", "Accept", "text/html")
	if got.status != 302 || got.header.Get("Location") != "" || !strings.Contains(got.body, `href="https://notice.example.com/icp"`) {
		t.Errorf("without client_headers: %+v; want the place in the body", got)
	}
	a.timeout = 200 * time.Millisecond
	whenGone(t, p, a.serve(t), 200, 200)
}

// newEnvoyOverHTTP asks as ext_authz does: the client's own method and path behind
// a prefix, its host, and the headers that are listed; 200 alone is a pass.
func newEnvoyOverHTTP(t *testing.T, site *url.URL, server, prefix string, listed, shown []string, failed int) standIn {
	t.Helper()
	return standIn{site: site, shown: shown, failed: failed, timeout: time.Minute,
		passes: func(status int) bool { return status == http.StatusOK },
		question: func(r *http.Request) *http.Request {
			q := newQuestion(t, r.Method, server+prefix+r.URL.RequestURI())
			q.Host = r.Host
			take(q.Header, r, listed)
			if contains(listed, "x-forwarded-for") {
				q.Header.Set("X-Forwarded-For", strings.TrimPrefix(r.Header.Get("X-Forwarded-For")+","+clientIP(r), ","))
			}
			if contains(listed, "x-forwarded-proto") {
				q.Header.Set("X-Forwarded-Proto", "http")
			}
			return q
		}}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}

func tryEnvoyOverHTTP(t *testing.T, f fences) {
	p, f, site, s := startAsked(t, f)
	b := envoyConfig(t, f["envoy.yaml"])
	hcm := of(t, b.GetStaticResources().GetListeners()[0].GetFilterChains()[0].GetFilters()[0].GetTypedConfig(), new(hcmv3.HttpConnectionManager))
	filter := of(t, hcm.GetHttpFilters()[0].GetTypedConfig(), new(httpauthzv3.ExtAuthz))
	service := filter.GetHttpService()
	uri := service.GetServerUri()
	if filter.GetFailureModeAllow() || filter.GetStatusOnError().GetCode() != 503 || !hcm.GetUseRemoteAddress().GetValue() || uri.GetTimeout().AsDuration() > time.Second {
		t.Errorf("the filter is %v; want it closed with 503, within a second", filter)
	}
	var asked *corev3.SocketAddress
	for _, c := range b.GetStaticResources().GetClusters() {
		if c.GetName() == uri.GetCluster() {
			asked = c.GetLoadAssignment().GetEndpoints()[0].GetLbEndpoints()[0].GetEndpoint().GetAddress().GetSocketAddress()
			if got := get(t, strings.TrimPrefix(uri.GetUri(), "http://"), "icp-gate"); got.status != 404 {
				t.Errorf("%s: %+v; want the gate there", uri.GetUri(), got)
			}
		}
	}
	if server := asked.GetAddress() + ":" + strconv.Itoa(int(asked.GetPortValue())); "http://"+server != uri.GetUri() {
		t.Errorf("the cluster is at %s, and the URI is %s", server, uri.GetUri())
	}
	var listed []string
	for _, m := range filter.GetAllowedHeaders().GetPatterns() {
		listed = append(listed, m.GetExact())
	}
	tryStandIn(t, newEnvoyOverHTTP(t, site, uri.GetUri(), service.GetPathPrefix(), listed, nil, int(filter.GetStatusOnError().GetCode())), p, s, 503)
}

// istioMesh is what is read of a mesh's configuration.
type istioMesh struct {
	Providers []struct {
		Name string `json:"name"`
		HTTP struct {
			Service       string   `json:"service"`
			Port          int      `json:"port"`
			PathPrefix    string   `json:"pathPrefix"`
			Timeout       string   `json:"timeout"`
			FailOpen      *bool    `json:"failOpen"`
			StatusOnError string   `json:"statusOnError"`
			Check         []string `json:"includeRequestHeadersInCheck"`
			OnDeny        []string `json:"headersToDownstreamOnDeny"`
		} `json:"envoyExtAuthzHttp"`
	} `json:"extensionProviders"`
}

func tryIstioOverHTTP(t *testing.T, f fences) {
	var c istioMesh
	readYAML(t, f["mesh.yaml"], &c)
	var policy struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   any    `json:"metadata"`
		Spec       struct {
			Selector any    `json:"selector"`
			Action   string `json:"action"`
			Provider struct {
				Name string `json:"name"`
			} `json:"provider"`
			Rules []map[string]any `json:"rules"`
		} `json:"spec"`
	}
	readYAML(t, f["policy.yaml"], &policy)
	provider := c.Providers[0]
	h := provider.HTTP
	if policy.Spec.Action != "CUSTOM" || policy.Spec.Provider.Name != provider.Name || len(policy.Spec.Rules) != 1 || len(policy.Spec.Rules[0]) != 0 {
		t.Errorf("%+v; want all requests to be asked about by %s", policy, provider.Name)
	}
	if !regexp.MustCompile(`^auth://:`+strconv.Itoa(h.Port)+` `).MatchString(f["gate.conf"]) || h.FailOpen == nil || *h.FailOpen {
		t.Errorf("%+v: the port is not the gate's, or it is not closed", h)
	}
	failed, err := strconv.Atoi(h.StatusOnError)
	if err != nil {
		t.Fatal(err)
	}
	p, f, site, s := startAsked(t, f)
	agent := regexp.MustCompile(`auth://(\S+)`).FindStringSubmatch(f["gate.conf"])[1]
	istio := newEnvoyOverHTTP(t, site, "http://"+agent, h.PathPrefix, h.Check, h.OnDeny, failed)
	web := istio.serve(t)
	wanted{"filed.example", 200, "GET filed.example"}.try(t, web)
	wanted{"unfiled.example", 403, "text/html"}.try(t, web, "Accept", "text/html")
	trick(t, web, s)
	istio.timeout = 200 * time.Millisecond
	whenGone(t, p, istio.serve(t), 503, 503)
}
