package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/edge"
)

// get asks for JSON and fails unless it comes.
func (w *world) get(t *testing.T, path string, into any) {
	t.Helper()
	status, _, text := w.ask(t, http.MethodGet, path, w.bearer("coverage"), "")
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, status, text)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%s: %v in %s", path, err, text)
	}
}

// TestDecide: verdicts are those of an edge, one by one and many at once, and of the
// lists that the registry has now.
func TestDecide(t *testing.T) {
	w := newWorld(t)
	var d api.Decision
	for query, want := range map[string]string{
		"host=www.a.test":                          "block not-accessed",
		"host=b.test":                              "block unfiled",
		"host=b.test&addr=192.0.2.1":               "pass not-public",
		"host=www.a.test&provider=%21":             "",
		"host=www.a.test&address_provider=tencent": "pass filed",
	} {
		if want == "" {
			if status, kind, text := w.ask(t, http.MethodGet, api.DecidePath+"?"+query, w.bearer("coverage"), ""); status != 422 || kind != "application/problem+json" || !strings.Contains(text, "provider") {
				t.Errorf("%s: %d %s", query, status, text)
			}
			continue
		}
		w.get(t, api.DecidePath+"?"+query, &d)
		if got := d.Verdict + " " + d.Reason; got != want {
			t.Errorf("%s: %s; want %s", query, got, want)
		}
	}
	// A list of the registry counts at once.
	w.list(t, "192.0.2.0/24", "aliyun ecs cn-beijing mainland")
	w.list(t, "198.51.100.0/24", "aliyun ecs us-west-1 overseas")
	w.get(t, api.DecidePath+"?host=b.test&addr=192.0.2.1&addr=198.51.100.1", &d)
	if d.Verdict != "block" || d.Reason != "unfiled" || len(d.Addresses) != 2 || d.Addresses[0].Provider != "aliyun" || d.Addresses[1].Verdict != "pass" {
		t.Errorf("with a network of the registry's: %+v", d)
	}
	status, _, text := w.ask(t, http.MethodPost, api.DecidePath, w.bearer("coverage"), `{"questions":[{"host":"www.a.test","address_provider":"tencent"},{"host":"a..test"},{"host":"b.test","addr":["192.0.2.1"],"channel":"dns"}]}`)
	var many struct {
		Revision  string
		Decisions []api.Decision
	}
	if err := json.Unmarshal([]byte(text), &many); err != nil || status != http.StatusOK || len(many.Decisions) != 3 {
		t.Fatalf("%d %s %v", status, text, err)
	}
	if x := many.Decisions; x[0].Reason != "filed" || x[0].Filed != "a.test" || x[1].Error == "" || x[1].Verdict != "" || x[2].Reason != "unfiled" {
		t.Errorf("decisions are %+v", x)
	}
	for _, body := range []string{`{}`, `{"questions":[]}`, `{"questions":[{}]}`, `{"questions":[` + strings.Repeat(`{"host":"a.test"},`, api.MaxQuestions) + `{"host":"a.test"}]}`, `{"questions":[{"host":"a.test","more":1}]}`} {
		if status, kind, text := w.ask(t, http.MethodPost, api.DecidePath, w.bearer("coverage"), body); status < 400 || status >= 500 || kind != "application/problem+json" {
			t.Errorf("%.40s: %d %s", body, status, text)
		}
	}
}

// TestExplain: an explanation names rule and filing, in both languages.
func TestExplain(t *testing.T) {
	w := newWorld(t)
	for lang, want := range map[string]string{"en": "en", "zh": "zh", "": "en"} {
		var x edge.Explained
		path := api.ExplainPath + "?host=www.a.test&address_provider=tencent"
		if lang != "" {
			path += "&lang=" + lang
		}
		status, _, text := w.ask(t, http.MethodGet, path, w.bearer("coverage"), "")
		if err := json.Unmarshal([]byte(text), &x); status != http.StatusOK || err != nil {
			t.Fatalf("%d %s %v", status, text, err)
		}
		if x.Lang.String() != want || x.Reason.String() != "filed" || x.Filed != "a.test" || len(x.Filings) != 1 || x.Rule == "" || !x.Loaded {
			t.Errorf("%s: %s", lang, text)
		}
		w.valid(t, api.ExplainPath, text)
	}
	for _, query := range []string{"", "?host=", "?host=a.test&lang=fr", "?host=a.test&colour=red", "?host=a.test&addr=1.2.3", "?host=a.test&channel=fax"} {
		if status, kind, text := w.ask(t, http.MethodGet, api.ExplainPath+query, w.bearer("coverage"), ""); status != 422 || kind != "application/problem+json" {
			t.Errorf("%q: %d %s", query, status, text)
		}
	}
}

// valid holds an answer to a GET against the description.
func (w *world) valid(t *testing.T, path, text string) {
	t.Helper()
	var answer any
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatal(err)
	}
	problems, err := w.Mismatch(path, answer)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s is not as described: %s", path, p)
	}
}
