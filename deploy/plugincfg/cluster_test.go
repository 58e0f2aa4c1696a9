package plugincfg

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// cluster is a Kubernetes API server that holds what the kubernetes plugin lists
// and watches, and never changes it.
type cluster map[string]kind

// kind is one collection of objects.
type kind struct {
	version, name string
	objects       []string // JSON without version and name
}

func object(namespace, name, rest string) string {
	return fmt.Sprintf(`"metadata":{"namespace":%q,"name":%q,"uid":%q,"resourceVersion":"1"}%s`, namespace, name, name, rest)
}

// startCluster starts it and returns its URL.
func startCluster(t *testing.T) string {
	external := func(name, target string) string {
		return object("default", name, fmt.Sprintf(`,"spec":{"type":"ExternalName","externalName":%q}`, target))
	}
	c := cluster{
		"/api/v1/namespaces": {"v1", "Namespace", []string{object("", "default", "")}},
		"/api/v1/pods":       {"v1", "Pod", []string{object("default", "client", `,"spec":{},"status":{"phase":"Running","podIP":"127.0.0.1","podIPs":[{"ip":"127.0.0.1"}]}`)}},
		"/api/v1/services": {"v1", "Service", []string{
			external("lead", "www.unfiled.test"),
			external("cdn", "www.accessed.test"),
			external("target", "x.cdn.unfiled.test"),
			object("default", "pod", `,"spec":{"type":"ClusterIP","clusterIP":"203.0.113.7","clusterIPs":["203.0.113.7"],"ports":[{"name":"http","protocol":"TCP","port":80}]}`),
			object("default", "web", `,"spec":{"type":"LoadBalancer","clusterIP":"10.0.0.8","clusterIPs":["10.0.0.8"],"ports":[{"name":"http","protocol":"TCP","port":80}]},`+
				`"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.8"}]}}`),
		}},
		"/apis/discovery.k8s.io/v1/endpointslices": {"discovery.k8s.io/v1", "EndpointSlice", nil},
	}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections) // else Close waits for those that watch
	return s.URL
}

// ServeHTTP lists a collection, or sends it as the beginning of a watch if the
// client asks so, and goes on without news until the client leaves.
func (c cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k, ok := c[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.FormValue("watch") == "" {
		fmt.Fprintf(w, `{"kind":"%sList","apiVersion":%q,"metadata":{"resourceVersion":"1"},"items":[`, k.name, k.version)
		for i, o := range k.objects {
			if i > 0 {
				fmt.Fprint(w, ",")
			}
			fmt.Fprintf(w, "{%s}", o)
		}
		fmt.Fprint(w, "]}")
		return
	}
	event := func(what, object string) {
		fmt.Fprintf(w, `{"type":%q,"object":{"kind":%q,"apiVersion":%q,%s}}`+"\n", what, k.name, k.version, object)
	}
	if r.FormValue("sendInitialEvents") == "true" {
		for _, o := range k.objects {
			event("ADDED", o)
		}
		event("BOOKMARK", `"metadata":{"resourceVersion":"1","annotations":{"k8s.io/initial-events-end":"true"}}`)
	}
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}
