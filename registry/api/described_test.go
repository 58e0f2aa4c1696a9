package api_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// TestDescribedAnswers: what the routes of the feed answer is described, and of every
// route that what goes wrong is a problem.
func TestDescribedAnswers(t *testing.T) {
	w := newWorld(t)
	_, _, text := w.ask(t, "GET", "/openapi.json", w.bearer("read"), "")
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]any `json:"content"`
			} `json:"responses"`
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if _, ok := op.Responses["default"].Content["application/problem+json"]; !ok && path != "/healthz" && path != "/readyz" {
				t.Errorf("%s %s: problems are not described", method, path)
			}
		}
	}
	header := func(key, value string) http.Header {
		h := w.bearer("feed")
		h.Set(key, value)
		return h
	}
	_, _, text = w.ask(t, "GET", "/v1/snapshot", w.bearer("feed"), "")
	var signed struct{ Manifest string }
	var manifest struct {
		Index struct{ SHA256 string }
	}
	if err := json.Unmarshal([]byte(text), &signed); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(signed.Manifest), &manifest); err != nil {
		t.Fatal(err)
	}
	file := "/v1/snapshot/" + manifest.Index.SHA256
	for _, c := range []struct {
		path, route string
		header      http.Header
		want        int
	}{
		{file, "/v1/snapshot/{sha256}", w.bearer("feed"), 200},
		{file, "/v1/snapshot/{sha256}", header("Range", "bytes=1-5"), 206},
		{file, "/v1/snapshot/{sha256}", header("If-None-Match", `"`+manifest.Index.SHA256+`"`), 304},
		{"/v1/snapshot/" + strings.Repeat("0", 64), "/v1/snapshot/{sha256}", w.bearer("feed"), 404},
		{"/v1/feed?from=1-1:1", "/v1/feed", w.bearer("feed"), 410},
		{"/v1/repair?at=1-1:1&buckets=1", "/v1/repair", w.bearer("feed"), 409},
	} {
		got, _, body := w.ask(t, "GET", c.path, c.header, "")
		if got != c.want {
			t.Errorf("%s: got %d %.200s; want %d", c.path, got, body, c.want)
		}
		if _, ok := doc.Paths[c.route]["get"].Responses[strconv.Itoa(got)]; !ok {
			t.Errorf("%s: %d is not described", c.route, got)
		}
	}
}
