package api_test

import (
	"bytes"

	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

// twice makes a change two times: the second one must change nothing.
func (w *world) twice(t *testing.T, token, method, path string, in any, want int) {
	t.Helper()
	w.call(t, token, method, path, in, nil, want)
	before, events := w.state(t)
	w.call(t, token, method, path, in, nil, want)
	if after, more := w.state(t); after != before || more != events {
		t.Errorf("%s %s %+v again: %s is %s, and the journal has %d entries, before %d", method, path, in, before, after, more, events)
	}
}

// state is the newest revision, and how long the journal is.
func (w *world) state(t *testing.T) (registry.Revision, int) {
	t.Helper()
	rev, err := w.store.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := w.store.Journal(t.Context(), store.JournalQuery{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return rev, len(list)
}

// TestServers: servers are recorded, looked up page by page, told to edges without
// whose they are, and taken out.
func TestServers(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		one := api.SetServer{Server: api.Server{ID: "i-1", Provider: "aliyun", Product: "ecs", Region: "cn-hangzhou", Addresses: []string{"198.51.100.7", "2001:db8::/64"}, Account: "whose-account"}, Why: "order 1"}
		two := api.SetServer{Server: api.Server{ID: "i-2", Provider: "cloud-a", Product: "cdn", Place: "overseas", Addresses: []string{"198.51.100.8"}, Quota: p(3)}, Why: "order 2"}
		w.twice(t, "write", "PUT", api.ServersPath, one, 200)
		w.twice(t, "write", "PUT", api.ServersPath, two, 200)
		var out api.Servers
		w.call(t, "read", "GET", api.ServersPath+"?limit=1", nil, &out, 200)
		if len(out.Servers) != 1 || out.Next != "i-1" || *out.Servers[0].Quota != 5 || out.Servers[0].Account != "whose-account" || len(out.Servers[0].Addresses) != 2 {
			t.Errorf("the first page: %+v", out)
		}
		out = api.Servers{}
		w.call(t, "read", "GET", api.ServersPath+"?limit=1&after=i-1", nil, &out, 200)
		if len(out.Servers) != 1 || out.Next != "" || out.Servers[0].ID != "i-2" || out.Servers[0].Place != "overseas" || *out.Servers[0].Quota != 3 {
			t.Errorf("the second page: %+v", out)
		}
		out = api.Servers{}
		w.call(t, "read", "GET", api.ServersPath+"?id=i-1", nil, &out, 200)
		if len(out.Servers) != 1 || out.Servers[0].ID != "i-1" {
			t.Errorf("one of them: %+v", out)
		}
		rev, _ := w.state(t)
		w.secretFree(t, rev, "whose-account")

		w.call(t, "write", "PUT", api.ServiceNumbersPath, api.SetServiceNumber{Number: "n-1", Server: "i-2", Why: "x"}, nil, 200)
		w.call(t, "write", "POST", api.ServersPath+"/remove", api.Remove{ID: "i-2", Why: "x"}, nil, 422)
		w.twice(t, "write", "POST", api.ServersPath+"/remove", api.Remove{ID: "i-1", Why: "sold"}, 200)
		w.call(t, "read", "GET", api.ServersPath+"?id=i-1", nil, nil, 404)
		var l api.Entries
		if w.call(t, "read", "GET", api.ListsPath+"/servers", nil, &l, 200); len(l.Entries) != 1 || l.Entries[0].Value != "cloud-a cdn - overseas" {
			t.Errorf("edges are told of %+v", l)
		}
		var h api.History
		if w.call(t, "read", "GET", api.HistoryPath+"?of=i-1", nil, &h, 200); len(h.Events) != 2 || h.Events[0].Why != "order 1" || h.Events[1].Why != "sold" || h.Events[1].Is != nil {
			t.Errorf("the journal of a server: %+v", h)
		}
		for name, tt := range map[string]struct {
			change func(*api.SetServer)
			want   string
		}{
			"no reason":          {func(v *api.SetServer) { v.Why = "" }, "why"},
			"a product":          {func(v *api.SetServer) { v.Product = "toaster" }, "toaster"},
			"a provider":         {func(v *api.SetServer) { v.Provider = "A B" }, "provider"},
			"a place":            {func(v *api.SetServer) { v.Place = "mars" }, "mars"},
			"no address":         {func(v *api.SetServer) { v.Addresses = []string{"example.com"} }, "example.com"},
			"another's address":  {func(v *api.SetServer) { v.Addresses = []string{"198.51.100.8"} }, "i-2"},
			"nowhere":            {func(v *api.SetServer) { v.Region = "cn-nowhere" }, "place"},
			"a negative quota":   {func(v *api.SetServer) { v.Quota = p(-1) }, "quota"},
			"bits too many":      {func(v *api.SetServer) { v.Addresses = []string{"198.51.100.9/24"} }, "198.51.100.9/24"},
			"no id":              {func(v *api.SetServer) { v.ID = "" }, "id"},
			"an interface's one": {func(v *api.SetServer) { v.Addresses = []string{"fe80::1%eth0"} }, "eth0"},
		} {
			bad := one
			bad.ID = "i-3"
			tt.change(&bad)
			if text := w.call(t, "write", "PUT", api.ServersPath, bad, nil, 422); !strings.Contains(text, tt.want) {
				t.Errorf("%s: %s; want %q", name, text, tt.want)
			}
		}
	})
}

// secretFree looks for a text in what edges get: the frames up to a revision, and a
// snapshot.
func (w *world) secretFree(t *testing.T, rev registry.Revision, secret string) {
	t.Helper()
	c, err := feed.NewClient(w.url, func() (string, error) { return w.secret["feed"], nil })
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Feed(t.Context(), registry.Revision{Epoch: rev.Epoch, Rev: w.hub.Replica().Log().After().Rev})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for {
		b, err := feed.ReadFrame(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("a frame tells of %q", secret)
		}
		if h, err := feed.ParseHead(b); err != nil || h.Revision == rev {
			break
		}
	}
	if err := w.hub.Replica().Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, index, lists, ok := w.hub.Replica().Manifest(w.clock.now())
	if !ok {
		t.Fatal("there is no snapshot")
	}
	for _, path := range []string{index, lists} {
		f, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(f, []byte(secret)) {
			t.Errorf("%s tells of %q", filepath.Base(path), secret)
		}
	}
}

// TestServiceNumbers: within a quota, given away, spent for ever.
func TestServiceNumbers(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.call(t, "write", "PUT", api.ServersPath, api.SetServer{Server: api.Server{ID: "i-1", Provider: "aliyun", Product: "ecs", Account: "a", Quota: p(2)}, Why: "x"}, nil, 200)
		set := func(n api.SetServiceNumber, want int) {
			t.Helper()
			if n.Why = "x"; want == 200 {
				w.twice(t, "write", "PUT", api.ServiceNumbersPath, n, want)
			} else {
				w.call(t, "write", "PUT", api.ServiceNumbersPath, n, nil, want)
			}
		}
		set(api.SetServiceNumber{Number: "n-1"}, 404)
		set(api.SetServiceNumber{Number: "n-1", Server: "i-9"}, 404)
		set(api.SetServiceNumber{Number: "n-1", Server: "i-1", Filing: "nobody.test"}, 404)
		set(api.SetServiceNumber{Number: "n-1", Server: "i-1"}, 200)
		set(api.SetServiceNumber{Number: "n-2", Server: "i-1", Filing: "a.test"}, 200)
		set(api.SetServiceNumber{Number: "n-3", Server: "i-1"}, 422)
		set(api.SetServiceNumber{Number: "n-1", Server: "i-2"}, 422)
		set(api.SetServiceNumber{Number: "n-1", Account: "b"}, 200)
		set(api.SetServiceNumber{Number: "n-2", Account: "b"}, 422)
		w.call(t, "write", "POST", api.ServiceNumbersPath+"/remove", api.Remove{ID: "n-2", Why: "x"}, nil, 422)
		var out api.ServiceNumbers
		w.call(t, "read", "GET", api.ServiceNumbersPath+"?limit=1", nil, &out, 200)
		if len(out.Numbers) != 1 || out.Next != "n-1" || out.Numbers[0].State != store.NumberGiven || out.Numbers[0].Account != "b" {
			t.Errorf("the first page: %+v", out)
		}
		w.call(t, "read", "GET", api.ServiceNumbersPath+"?server=i-1", nil, &out, 200)
		if len(out.Numbers) != 2 || out.Numbers[1].State != store.NumberSpent || out.Numbers[1].Filing != "a.test (site)" {
			t.Errorf("of a server: %+v", out)
		}
		w.twice(t, "write", "POST", api.ServiceNumbersPath+"/remove", api.Remove{ID: "n-1", Why: "x"}, 200)
	})
}

// TestPSB: filings with public security are kept, and edges do not hear of them.
func TestPSB(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		const one, two = "京公网安备11010802020134号", "粤公网安备44030502008569号"
		at := time.Date(2024, 1, 2, 0, 0, 0, 0, time.FixedZone("CST", 8*3600))
		before, _ := w.state(t)
		w.twice(t, "write", "PUT", api.PSBPath, api.SetPSB{PSB: api.PSB{Number: "京公网安备 11010802020134 号", Name: "A.test", FiledAt: at}, Why: "x"}, 200)
		w.twice(t, "write", "PUT", api.PSBPath, api.SetPSB{PSB: api.PSB{Number: two, Name: "b.test"}, Why: "x"}, 200)
		if after, _ := w.state(t); after != before {
			t.Errorf("edges are told of revision %s", after)
		}
		get := func(query string) (out api.PSBs) {
			t.Helper()
			w.call(t, "read", "GET", api.PSBPath+query, nil, &out, 200)
			return out
		}
		if out := get("?name=a.test"); len(out.PSB) != 1 || out.PSB[0].Number != one || !out.PSB[0].FiledAt.Equal(at) {
			t.Errorf("of a name: %+v", out)
		}
		if out := get("?number=" + url.QueryEscape(two)); len(out.PSB) != 1 || out.PSB[0].Name != "b.test" {
			t.Errorf("of a number: %+v", out)
		}
		first := get("?limit=1")
		rest := get("?limit=1&after=" + url.QueryEscape(first.Next))
		if len(first.PSB) != 1 || len(rest.PSB) != 1 || rest.Next != "" || first.PSB[0].Number == rest.PSB[0].Number {
			t.Errorf("page by page: %+v, %+v", first, rest)
		}
		w.twice(t, "write", "POST", api.PSBPath+"/remove", api.Remove{ID: one, Why: "x"}, 200)
		w.call(t, "read", "GET", api.PSBPath+"?number="+url.QueryEscape(one), nil, nil, 404)
		for _, bad := range []api.PSB{{Number: "12", Name: "a.test"}, {Number: one, Name: "a..test"}, {Number: one}, {Name: "a.test"}} {
			w.call(t, "write", "PUT", api.PSBPath, api.SetPSB{PSB: bad, Why: "x"}, nil, 422)
		}
		w.call(t, "write", "POST", api.PSBPath+"/remove", api.Remove{ID: "12", Why: "x"}, nil, 422)
		w.call(t, "read", "GET", api.PSBPath+"?after=x", nil, nil, 422)
	})
}

// TestPersons: who uses the registry by name; a password that was set stays.
func TestPersons(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.twice(t, "admin", "PUT", api.PersonsPath, api.SetPerson{Name: "ann", Roles: []string{"viewer"}, Why: "x"}, 204)
		ann, err := w.store.Person(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		ann.Hash = "secret-hash"
		if err := w.store.PutPerson(t.Context(), by, ann); err != nil {
			t.Fatal(err)
		}
		w.twice(t, "admin", "PUT", api.PersonsPath, api.SetPerson{Name: "ann", Roles: []string{"viewer", "editor"}, Ended: true, Why: "left"}, 204)
		var out api.Persons
		text := w.call(t, "admin", "GET", api.PersonsPath, nil, &out, 200)
		if len(out.Persons) != 1 || len(out.Persons[0].Roles) != 2 || out.Persons[0].Ended.IsZero() || strings.Contains(text, "secret-hash") {
			t.Errorf("persons: %s", text)
		}
		w.twice(t, "admin", "PUT", api.PersonsPath, api.SetPerson{Name: "ann", Roles: []string{"viewer"}, Why: "back"}, 204)
		if ann, err = w.store.Person(t.Context(), "ann"); err != nil || !ann.Ended.IsZero() || ann.Hash != "secret-hash" {
			t.Errorf("back she is %+v, %v", ann, err)
		}
		w.call(t, "admin", "PUT", api.PersonsPath, api.SetPerson{Name: "ann", Roles: []string{"two words"}, Why: "x"}, nil, 422)
		w.call(t, "admin", "PUT", api.PersonsPath, api.SetPerson{Name: " ", Why: "x"}, nil, 422)
	})
}

// TestContact: personal data of an entity is recorded by who may see and write it,
// and reaches neither the journal nor edges.
func TestContact(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		const number = "京ICP备12345678号"
		w.call(t, "write", "PATCH", api.FilingsPath, api.SetFiling{Why: "x", Set: api.Row{Domains: p([]string{"b.test"}), Number: p(number + "-1"), EntityNumber: p(number), EntityName: p("张三"), EntityNature: p("individual")}}, nil, 200)
		in := api.SetContact{Number: number, Contact: store.Contact{Phone: "010-5550100"}, Why: "x"}
		w.call(t, "personal", "PUT", api.EntitiesPath+"/contact", in, nil, 403)
		w.call(t, "all", "PUT", api.EntitiesPath+"/contact", in, nil, 200)
		var e api.Entity
		if w.call(t, "personal", "GET", api.EntitiesPath+"?number="+url.QueryEscape(number), nil, &e, 200); e.Contact.Phone != "010-5550100" || e.Name != "张三" {
			t.Errorf("the entity: %+v", e)
		}
		if text := w.call(t, "read", "GET", api.HistoryPath+"?of="+url.QueryEscape(number), nil, nil, 200); strings.Contains(text, "5550100") || strings.Contains(text, "张三") || !strings.Contains(text, "contact") {
			t.Errorf("the journal: %s", text)
		}
		rev := file(t, w.store, "c.test", registry.StatusNormal)
		w.secretFree(t, rev, "5550100")
		w.secretFree(t, rev, "张三")
		in.Number = "京ICP备99999999号"
		w.call(t, "all", "PUT", api.EntitiesPath+"/contact", in, nil, 404)
		in.Number = "12"
		w.call(t, "all", "PUT", api.EntitiesPath+"/contact", in, nil, 422)
	})
}

// TestBlacklisted: names, and then entities, page by page.
func TestBlacklisted(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		const number = "京ICP备12345678号"
		w.call(t, "write", "PATCH", api.FilingsPath, api.SetFiling{Why: "x", Set: api.Row{Domains: p([]string{"b.test"}), Number: p(number + "-1"), EntityNumber: p(number)}}, nil, 200)
		for _, b := range []api.Blacklisting{{Name: "y.test", Why: "notice 1"}, {Entity: number, Why: "notice 2"}, {Name: "x.test", Why: "notice 3"}} {
			w.call(t, "write", "PUT", api.BlacklistPath, b, nil, 200)
		}
		var got []string
		for after := ""; len(got) < 9; {
			var out api.Blacklist
			w.call(t, "read", "GET", api.BlacklistPath+"?limit=1&after="+url.QueryEscape(after), nil, &out, 200)
			for _, b := range out.Blacklist {
				got = append(got, b.Name+b.Entity+" "+b.Why)
			}
			if after = out.Next; after == "" {
				break
			}
		}
		if want := "x.test notice 3, y.test notice 1, " + number + " notice 2"; strings.Join(got, ", ") != want {
			t.Errorf("got %q; want %q", got, want)
		}
		w.call(t, "read", "GET", api.BlacklistPath+"?after=///", nil, nil, 422)
	})
}
