package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

// call asks with a token and reads the answer into out, unless that is nil; another
// status than want is an error.
func (w *world) call(t *testing.T, token, method, path string, in, out any, want int) string {
	t.Helper()
	body := ""
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = string(text)
	}
	status, kind, text := w.ask(t, method, path, w.bearer(token), body)
	if status != want || status >= 400 && kind != "application/problem+json" {
		t.Fatalf("%s %s %s: %d %s %s; want %d", method, path, body, status, kind, text, want)
	}
	if method == "GET" && status == 200 && kind == "application/json" {
		template, _, _ := strings.Cut(path, "?")
		for prefix, name := range map[string]string{api.ImportsPath + "/": "{id}", api.ListsPath + "/": "{list}"} {
			if strings.HasPrefix(template, prefix) {
				template = prefix + name
			}
		}
		w.valid(t, template, text)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return text
}

func p[T any](v T) *T { return &v }

// filings are those of a text, as a token sees them.
func (w *world) filings(t *testing.T, token, of string) []api.FilingView {
	t.Helper()
	var out api.Filings
	w.call(t, token, "GET", api.FilingsPath+"?of="+url.QueryEscape(of), nil, &out, 200)
	return out.Filings
}

// TestFilings: a filing is made, changed in one fact, given an access, cancelled;
// the same again changes nothing, and the journal has who, why, before and after.
func TestFilings(t *testing.T) {
	w := newWorld(t)
	var made, again api.Changed
	row := api.SetFiling{Why: "order 17", Set: api.Row{
		Domains: p([]string{"b.test"}), Number: p("京ICP备12345678号-1"), EntityName: p("张三"), EntityNature: p("individual"),
		Accesses: p([]api.Access{{Provider: "cloud-a", AccessedAt: "2026-01-02"}}),
	}}
	w.call(t, "write", "PATCH", api.FilingsPath, row, &made, 200)
	w.call(t, "write", "PATCH", api.FilingsPath, row, &again, 200)
	if made.Key != "京ICP备12345678号-1" || made.Revision != again.Revision {
		t.Errorf("made %+v, and again %+v", made, again)
	}
	if f := w.filings(t, "read", "b.test"); len(f) != 1 || f[0].EntityName != nil || *f[0].Status != "normal" || len(*f[0].Accesses) != 1 {
		t.Errorf("it is shown as %+v", f)
	}
	if text := w.call(t, "all", "GET", api.FilingsPath+"?of=b.test", nil, nil, 200); !strings.Contains(text, "张三") {
		t.Errorf("who may see personal data does not: %s", text)
	}
	f := w.filings(t, "read", "b.test")[0]
	w.call(t, "write", "PATCH", api.FilingsPath, api.SetFiling{Of: "b.test", Rev: f.Rev, Why: "the authority says so", Set: api.Row{Restricted: p(true)}}, nil, 200)
	if g := w.filings(t, "all", "b.test")[0]; g.Restricted == nil || !*g.Restricted || g.EntityName == nil || *g.Number != *f.Number || len(*g.Accesses) != 1 || g.Rev == f.Rev {
		t.Errorf("after one fact was set it is %+v", g)
	}
	text := w.call(t, "write", "PATCH", api.FilingsPath, api.SetFiling{Of: "b.test", Rev: f.Rev, Why: "late", Set: api.Row{Restricted: p(false)}}, nil, 409)
	if !strings.Contains(text, "look at it again") {
		t.Errorf("a change of what was changed meanwhile: %s", text)
	}
	for range 2 {
		w.call(t, "write", "PUT", api.FilingsPath+"/access", api.SetAccess{Of: "b.test", Why: "order 18", Access: api.Access{Provider: "cloud-b", Status: "submitted"}}, nil, 200)
	}
	var first, second api.Changed
	cancel := api.Cancel{Of: "b.test", Why: "moved away", Provider: "cloud-a"}
	w.call(t, "write", "POST", api.FilingsPath+"/cancel", cancel, &first, 200)
	w.clock.seconds.Add(3600)
	w.call(t, "write", "POST", api.FilingsPath+"/cancel", cancel, &second, 200)
	if !first.Shell || first.Revision != second.Revision {
		t.Errorf("the last access is cancelled: %+v, and again %+v", first, second)
	}
	w.call(t, "write", "POST", api.FilingsPath+"/cancel", api.Cancel{Of: made.Key, Why: "given up"}, nil, 200)
	if f := w.filings(t, "read", made.Key); *f[0].Status != "cancelled" {
		t.Errorf("cancelled, it is %+v", f)
	}
	var h api.History
	text = w.call(t, "read", "GET", api.HistoryPath+"?of=b.test", nil, &h, 200)
	var whys []string
	for _, e := range h.Events {
		whys = append(whys, e.Why)
		if e.Owner != "ann" || e.Who == "" || e.What != "filing" {
			t.Errorf("event %+v", e)
		}
	}
	if got := strings.Join(whys, ", "); got != "order 17, the authority says so, order 18, moved away, given up" || strings.Contains(text, "张三") {
		t.Errorf("the journal says %s: %s", got, text)
	}
	w.call(t, "write", "PATCH", api.FilingsPath, api.SetFiling{Of: "b.test", Why: "renumbered", Set: api.Row{Number: p("京ICP备12345678号-2")}}, nil, 200)
	if f := w.filings(t, "read", "b.test"); len(f) != 1 || f[0].Key != "京ICP备12345678号-2" {
		t.Errorf("with another number it is %+v", f)
	}
	w.call(t, "write", "POST", api.FilingsPath+"/cancel", api.Cancel{Of: "b.test", Why: "a typing error", Remove: true}, nil, 200)
	if f := w.filings(t, "read", "b.test"); len(f) != 0 {
		t.Errorf("taken out, it is %+v", f)
	}
}

// TestFilingsRefused: what is wrong with a change is said, and nothing is done.
func TestFilingsRefused(t *testing.T) {
	w := newWorld(t)
	for _, n := range []string{"site", "app"} {
		w.call(t, "write", "PATCH", api.FilingsPath, api.SetFiling{Why: "x", Set: api.Row{Domains: p([]string{"two.test"}), Kind: p(n)}}, nil, 200)
	}
	before, err := w.store.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		method, path string
		in           any
		status       int
		want         string
	}{
		"no reason":          {"PATCH", "", api.SetFiling{Set: api.Row{Domains: p([]string{"c.test"})}}, 422, "why"},
		"a blank reason":     {"PATCH", "", api.SetFiling{Why: " ", Set: api.Row{Domains: p([]string{"c.test"})}}, 422, "no reason"},
		"no name":            {"PATCH", "", api.SetFiling{Why: "x"}, 422, "domain"},
		"a public suffix":    {"PATCH", "", api.SetFiling{Why: "x", Set: api.Row{Domains: p([]string{"com.cn"})}}, 422, "suffix"},
		"a status":           {"PATCH", "", api.SetFiling{Why: "x", Set: api.Row{Domains: p([]string{"c.test"}), Status: p("fine")}}, 422, "status"},
		"a day":              {"PATCH", "", api.SetFiling{Why: "x", Set: api.Row{Domains: p([]string{"c.test"}), FiledAt: p("yesterday")}}, 422, "filed_at"},
		"an unknown key":     {"PATCH", "", map[string]any{"why": "x", "set": map[string]any{"domain": "c.test"}}, 422, "unexpected"},
		"nobody's":           {"PATCH", "", api.SetFiling{Of: "c.test", Why: "x"}, 404, "no filing"},
		"two filings":        {"PATCH", "", api.SetFiling{Of: "two.test", Why: "x"}, 409, "two.test (app)"},
		"no text at all":     {"PATCH", "", api.SetFiling{Of: "///", Why: "x"}, 422, "no filing number"},
		"no provider":        {"PUT", "/access", api.SetAccess{Of: "a.test", Why: "x"}, 422, "provider"},
		"none as provider":   {"PUT", "/access", api.SetAccess{Of: "a.test", Why: "x", Access: api.Access{Provider: "-"}}, 422, "provider"},
		"access of nobody":   {"POST", "/cancel", api.Cancel{Of: "a.test", Why: "x", Provider: "cloud-a"}, 404, "no access"},
		"a wrong provider":   {"POST", "/cancel", api.Cancel{Of: "a.test", Why: "x", Provider: "Cloud A!"}, 422, "provider"},
		"remove an access":   {"POST", "/cancel", api.Cancel{Of: "a.test", Why: "x", Provider: "cloud-a", Remove: true}, 422, "one of them"},
		"cancel nobody's":    {"POST", "/cancel", api.Cancel{Of: "c.test", Why: "x"}, 404, "no filing"},
		"an old revision":    {"POST", "/cancel", api.Cancel{Of: "a.test", Why: "x", Rev: 999}, 409, "look at it again"},
		"not JSON":           {"POST", "/cancel", "x", 422, ""},
		"a number as reason": {"POST", "/cancel", map[string]any{"of": "a.test", "why": 7}, 422, "why"},
	} {
		t.Run(name, func(t *testing.T) {
			text := w.call(t, "write", tt.method, api.FilingsPath+tt.path, tt.in, nil, tt.status)
			if !strings.Contains(text, tt.want) {
				t.Errorf("%s; want %q", text, tt.want)
			}
		})
	}
	if after, err := w.store.Revision(t.Context()); err != nil || after != before {
		t.Errorf("%s is %s now: %v", before, after, err)
	}
}

// TestLists: exemptions, blacklist and lists are set and ended, once each however
// often it is asked.
func TestLists(t *testing.T) {
	w := newWorld(t)
	until := w.clock.now().Add(time.Hour).UTC()
	for range 2 {
		w.call(t, "write", "PUT", api.ExemptionsPath, api.Exemption{Name: "*.a.test", Until: until, Why: "court order"}, nil, 200)
		w.call(t, "write", "PUT", api.BlacklistPath, api.Blacklisting{Name: "bad.test", Why: "notice 3"}, nil, 200)
		w.call(t, "write", "PUT", api.ListsPath+"/networks", api.SetEntry{Entry: api.Entry{Key: "192.0.2.0/24", Value: "cloud-a ecs cn-test mainland"}, Why: "new site"}, nil, 200)
	}
	var x api.Exemptions
	if w.call(t, "read", "GET", api.ExemptionsPath, nil, &x, 200); len(x.Exemptions) != 1 || x.Exemptions[0].Name != "*.a.test" || !x.Exemptions[0].Until.Equal(until) || x.Exemptions[0].Why != "court order" {
		t.Errorf("exemptions %+v", x)
	}
	var l api.Entries
	if w.call(t, "read", "GET", api.ListsPath+"/networks", nil, &l, 200); len(l.Entries) != 1 || l.Entries[0].Value != "cloud-a ecs cn-test mainland" {
		t.Errorf("networks %+v", l)
	}
	if c, err := w.store.Coverage(t.Context(), registry.MustParseDomain("www.bad.test")); err != nil || !c.Blacklisted {
		t.Errorf("blacklisted: %+v, %v", c, err)
	}
	for range 2 {
		w.call(t, "write", "POST", api.ExemptionsPath+"/end", map[string]string{"name": "*.a.test", "why": "over"}, nil, 200)
		w.call(t, "write", "POST", api.BlacklistPath+"/end", api.Blacklisting{Name: "bad.test", Why: "notice 4"}, nil, 200)
		w.call(t, "write", "PUT", api.ListsPath+"/networks", api.SetEntry{Entry: api.Entry{Key: "192.0.2.0/24"}, Gone: true, Why: "sold"}, nil, 200)
	}
	var h api.History
	if w.call(t, "read", "GET", api.HistoryPath+"?of=bad.test", nil, &h, 200); len(h.Events) != 2 {
		t.Errorf("the journal of the blacklist: %+v", h)
	}
	for name, tt := range map[string]struct {
		path   string
		in     any
		status int
		want   string
	}{
		"an end that is past":     {api.ExemptionsPath, api.Exemption{Name: "a.test", Until: w.clock.now().Add(-time.Hour), Why: "x"}, 422, "ended"},
		"exempt nothing":          {api.ExemptionsPath, api.Exemption{Why: "x"}, 422, "is empty"},
		"exempt without a reason": {api.ExemptionsPath, api.Exemption{Name: "a.test"}, 422, "why"},
		"blacklist nothing":       {api.BlacklistPath, api.Blacklisting{Why: "x"}, 422, "name or an entity"},
		"blacklist both":          {api.BlacklistPath, api.Blacklisting{Name: "a.test", Entity: "京ICP备12345678号", Why: "x"}, 422, "name or an entity"},
		"blacklist a suffix":      {api.BlacklistPath, api.Blacklisting{Name: "com", Why: "x"}, 422, "suffix"},
		"an unknown entity":       {api.BlacklistPath, api.Blacklisting{Entity: "京ICP备99999999号", Why: "x"}, 404, "not found"},
		"a wrong entity":          {api.BlacklistPath, api.Blacklisting{Entity: "12", Why: "x"}, 422, "12"},
		"an unknown list":         {api.ListsPath + "/friends", api.SetEntry{Entry: api.Entry{Key: "a"}, Why: "x"}, 404, "friends"},
		"another's list":          {api.ListsPath + "/exemptions", api.SetEntry{Entry: api.Entry{Key: "a"}, Why: "x"}, 422, "another way"},
		"no prefix":               {api.ListsPath + "/networks", api.SetEntry{Entry: api.Entry{Key: "a", Value: "b"}, Why: "x"}, 422, "networks"},
	} {
		t.Run(name, func(t *testing.T) {
			if text := w.call(t, "write", "PUT", tt.path, tt.in, nil, tt.status); !strings.Contains(text, tt.want) {
				t.Errorf("%s; want %q", text, tt.want)
			}
		})
	}
}

// TestHandling: what was done about sightings is noted, of all of them or of none.
func TestHandling(t *testing.T) {
	w := newWorld(t)
	at := w.clock.now().UTC()
	_, err := w.store.AddSightings(t.Context(), store.SightingBatch{Edge: "e", Boot: "b", Seq: 1, Rows: []store.Sighting{
		{Name: registry.MustParseDomain("x.test"), Reason: registry.Unfiled, First: at, Last: at, Hits: 1},
		{Name: registry.MustParseDomain("y.test"), Reason: registry.Unfiled, First: at, Last: at, Hits: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Sightings []api.SightingView }
	w.call(t, "read", "GET", feed.SightingsPath, nil, &list, 200)
	if len(list.Sightings) != 2 {
		t.Fatalf("sightings %+v", list)
	}
	ids := []string{list.Sightings[0].ID, list.Sightings[1].ID}
	w.call(t, "write", "POST", api.HandlePath, api.Handling{IDs: append(ids, "nobody"), State: "closed"}, nil, 404)
	w.call(t, "read", "GET", feed.SightingsPath+"?state=closed", nil, &list, 200)
	if len(list.Sightings) != 0 {
		t.Errorf("one is not there, and closed are %+v", list)
	}
	w.call(t, "write", "POST", api.HandlePath, api.Handling{IDs: ids, State: "notified", Note: "mail to the owner"}, nil, 204)
	w.call(t, "read", "GET", feed.SightingsPath+"?state=notified", nil, &list, 200)
	if len(list.Sightings) != 2 || list.Sightings[0].Note != "mail to the owner" || list.Sightings[0].Who == "" || list.Sightings[0].At.IsZero() {
		t.Errorf("notified are %+v", list)
	}
	var page struct {
		Sightings []api.SightingView
		Next      string
	}
	var seen []string
	for after := ""; len(seen) < 3; after = "&after=" + page.Next {
		page.Next = ""
		w.call(t, "read", "GET", feed.SightingsPath+"?limit=1"+after, nil, &page, 200)
		for _, s := range page.Sightings {
			seen = append(seen, s.ID)
		}
		if page.Next == "" {
			break
		}
	}
	if len(seen) != 2 || seen[0] == seen[1] {
		t.Errorf("one by one they are %v", seen)
	}
	w.call(t, "read", "GET", feed.SightingsPath+"?state=done", nil, nil, 422)
	w.call(t, "read", "GET", feed.SightingsPath+"?after=1", nil, nil, 422)
	w.call(t, "write", "POST", api.HandlePath, api.Handling{IDs: ids, State: "done"}, nil, 422)
	w.call(t, "write", "POST", api.HandlePath, api.Handling{State: "open"}, nil, 422)
}

// TestTokens: tokens are made, listed without their secrets, and revoked.
func TestTokens(t *testing.T) {
	w := newWorld(t)
	var made api.MadeToken
	w.call(t, "admin", "POST", api.TokensPath, api.NewToken{Owner: "edge-9", Scopes: []string{"feed"}}, &made, 201)
	if status, _, _ := w.ask(t, "GET", feed.SnapshotPath, w.bearer(made.Secret), ""); status != 200 {
		t.Errorf("with the new token: %d", status)
	}
	if text := w.call(t, "admin", "GET", api.TokensPath, nil, nil, 200); !strings.Contains(text, "edge-9") || strings.Contains(text, made.Secret) {
		t.Errorf("tokens: %s", text)
	}
	for range 2 {
		w.call(t, "admin", "DELETE", api.TokensPath+"/"+made.Token.ID, nil, nil, 204)
	}
	if status, _, _ := w.ask(t, "GET", feed.SnapshotPath, w.bearer(made.Secret), ""); status != http.StatusUnauthorized {
		t.Errorf("with the revoked token: %d", status)
	}
	w.call(t, "admin", "DELETE", api.TokensPath+"/nobody", nil, nil, 404)
	for _, bad := range []api.NewToken{{Owner: "x"}, {Scopes: []string{"feed"}}, {Owner: "x", Scopes: []string{"all"}}, {Owner: "x", Scopes: []string{"feed"}, Until: w.clock.now().Add(-time.Hour)}} {
		w.call(t, "admin", "POST", api.TokensPath, bad, nil, 422)
	}
}
