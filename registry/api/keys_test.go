package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestKeysOnce: a body that two readers would take for two changes is none.
func TestKeysOnce(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		for body, want := range map[string]string{
			`{"name":"a.example","name":"b.example","why":"so"}`:              `key \"name\" is given twice`,
			`{"name":"a.example","\u006eame":"b.example","why":"so"}`:         `key \"name\" is given twice`,
			`{"name":"a.example","NAME":"b.example","why":"so"}`:              `key \"NAME\" is given twice`,
			`{"name":"a.example","why":"so","more":{"list":1,"liſt":2}}`:      `key \"liſt\" is given twice`,
			`{"name":"a.example","more":1e999,"name":"b.example","why":"so"}`: `key \"name\" is given twice`,
			`{"NAME":"b.example","why":"so"}`:                                 "expected required property name",
			`{"name":"a.example","why":"so","until":{"a":[{"b":1,"b":2}]}}`:   `key \"b\" is given twice`,
		} {
			if status, _, answer := w.ask(t, "PUT", "/v1/exemptions", w.bearer("write"), body); status/100 != 4 || !strings.Contains(answer, want) {
				t.Errorf("%s: got %d, %s; want it refused with %s", body, status, answer, want)
			}
		}
		// The same key in two objects, or as a value, is no key twice.
		body := `{"of":"a.example","set":{"domain":["a.example"],"number":"京ICP备00000001号-1","site_name":"number","accesses":[{"provider":"x","status":"active"},{"provider":"y","status":"active"}]},"why":"so"}`
		if _, _, answer := w.ask(t, "PATCH", "/v1/filings", w.bearer("write"), body); strings.Contains(answer, "twice") {
			t.Errorf("%s: got %s; want it taken", body, answer)
		}
	})
}

// TestAllow: who asks in a way that is not served is told how he may.
func TestAllow(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		for path, want := range map[string]string{"/v1/coverage": "POST", "/v1/exemptions": "GET, HEAD, PUT"} {
			req, err := http.NewRequest("DELETE", w.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = w.bearer("read")
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Allow"); resp.StatusCode != http.StatusMethodNotAllowed || got != want {
				t.Errorf("DELETE %s: got %d, Allow %q; want 405, %q", path, resp.StatusCode, got, want)
			}
		}
	})
}
