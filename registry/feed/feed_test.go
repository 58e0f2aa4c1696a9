package feed_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
)

// newView is a registry with every kind of answer.
func newView(t testing.TB) *index.View {
	t.Helper()
	b := index.NewBuilder(index.Options{Revision: registry.Revision{Epoch: registry.Epoch{Made: 7, Random: 9}, Rev: 3}})
	name := registry.MustParseDomain
	filings := []registry.Filing{
		{Site: registry.Site{Domains: []registry.Domain{name("a.example")}}},
		{Site: registry.Site{Domains: []registry.Domain{name("b.example")}}, AccessesKnown: true, Accesses: []registry.Access{
			{Provider: registry.Aliyun}, {Provider: registry.Tencent, Status: registry.AccessReviewed, At: 1_700_000_000},
			{Provider: "other", Status: registry.AccessCancelled}}},
		{Site: registry.Site{Domains: []registry.Domain{name("x.b.example")}}, AccessesKnown: true, Status: registry.StatusCancelled},
		{Site: registry.Site{Domains: []registry.Domain{name("c.example")}, Kind: registry.KindApp}, Restricted: true},
		{Site: registry.Site{Domains: []registry.Domain{name("unit.gov.cn")}}},
	}
	for _, f := range filings {
		if err := b.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	b.Blacklist(name("bad.example"))
	x, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return index.NewView(x)
}

var asked = func() (names []registry.Domain) {
	for _, s := range []string{"www.a.example", "b.example", "y.x.b.example", "c.example", "sub.unit.gov.cn", "www.unit.gov.cn", "x.bad.example", "nothing.example"} {
		names = append(names, registry.MustParseDomain(s))
	}
	return names
}()

// TestCoverage: what a client is told is what the registry says.
func TestCoverage(t *testing.T) {
	view := newView(t)
	mux := http.NewServeMux()
	var authorization string
	mux.HandleFunc("POST "+feed.CoveragePath, func(w http.ResponseWriter, r *http.Request) {
		authorization = r.Header.Get("Authorization")
		feed.CoverageHandler(func() *index.View { return view }, nil).ServeHTTP(w, r)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c, err := feed.NewClient(srv.URL+"/", func() (string, error) { return "secret", nil })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Coverage(context.Background(), asked)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range asked {
		if want := view.Cover(d); fmt.Sprint(got[i]) != fmt.Sprint(want) {
			t.Errorf("%s: got %+v; want %+v", d, got[i], want)
		}
	}
	if authorization != "Bearer secret" {
		t.Errorf("got Authorization %q; want the token", authorization)
	}
}

// TestClientErrors: what is no answer is an error that names the service, and
// never the token.
func TestClientErrors(t *testing.T) {
	ok := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json") }
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		want   string
	}{
		"unauthorized": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "token is right"},
		"server error": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "500"},
		"redirect":     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusTemporaryRedirect) }, "redirects"},
		"another type": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") }, "application/json"},
		"no JSON":      {func(w http.ResponseWriter, _ *http.Request) { ok(w) }, "EOF"},
		"too few answers": {func(w http.ResponseWriter, _ *http.Request) {
			ok(w)
			_, _ = w.Write([]byte(`{"revision":"7-9:3","answers":[]}`))
		}, "0 answers for 8 names"},
		"an unknown key": {func(w http.ResponseWriter, _ *http.Request) { ok(w); _, _ = w.Write([]byte(`{"rev":1}`)) }, "unknown field"},
		"too long":       {func(w http.ResponseWriter, _ *http.Request) { ok(w); _, _ = w.Write(make([]byte, 17<<20)) }, "more than"},
	} {
		srv := httptest.NewServer(http.HandlerFunc(tt.answer))
		c, err := feed.NewClient(srv.URL, func() (string, error) { return "secret", nil })
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Coverage(context.Background(), asked)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") || got != nil {
			t.Errorf("%s: got %v, %v; want an error with %q", name, got, err, tt.want)
		}
		c.Close()
		srv.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	c, _ := feed.NewClient("http://127.0.0.1:1", nil)
	if _, err := c.Coverage(ctx, asked); err == nil {
		t.Error("got an answer from nobody")
	}
	for _, u := range []string{"", "registry.example", "ftp://a.example", "https://", "https://u:p@a.example", "https://a.example?x=1", "http://a.example/#x", "://"} {
		if _, err := feed.NewClient(u, nil); err == nil || !strings.Contains(err.Error(), "URL of a registry service") {
			t.Errorf("%q: got %v; want an error that says what is expected", u, err)
		}
	}
}

// TestCoverageOfMuch: a name with more filings than anybody believes is answered
// for as they are where they can be told; where they cannot, nothing is told of
// this name, and the others of the batch are answered for as ever.
func TestCoverageOfMuch(t *testing.T) {
	filing := func(at int64, accesses int) registry.Covering {
		c := registry.Covering{Filed: 2, AccessesKnown: accesses > 0}
		for i := range accesses {
			c.Accesses = append(c.Accesses, registry.Access{Provider: registry.ProviderID(fmt.Sprintf("cloud-%d", i)), At: at})
		}
		return c
	}
	many := func(n, accesses int, at func(i int) int64) (c registry.Coverage) {
		c = registry.Coverage{Loaded: true, Cut: 2, Revision: registry.Revision{Epoch: registry.Epoch{Made: 7, Random: 9}, Rev: 3}}
		for i := range n {
			c.Filings = append(c.Filings, filing(at(i), accesses))
		}
		return c
	}
	each := func(i int) int64 { return int64(i + 1) }
	two := func(i int) int64 { return int64(i%2 + 1) }
	names := []registry.Domain{registry.MustParseDomain("a.example"), registry.MustParseDomain("b.example"), registry.MustParseDomain("c.example")}
	one := many(1, 1, each)
	for name, tt := range map[string]struct {
		is   registry.Coverage
		want int // filings; -1: nothing is told
	}{
		"each another":           {many(5000, 1, each), 5000},
		"all alike but two":      {many(200_000, 1, two), 2},
		"few alike stay":         {many(20, 1, two), 20},
		"more than is believed":  {many(200_000, 1, each), -1},
		"an access for everyone": {many(1, 300, each), -1},
	} {
		b, err := feed.AppendAnswer(nil, one.Revision, []registry.Coverage{one, tt.is, one})
		if err != nil {
			t.Fatal(err)
		}
		got, err := feed.ParseAnswer(b, names)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(got[0], one) || !reflect.DeepEqual(got[2], one) {
			t.Errorf("%s: the others are %+v and %+v; want %+v", name, got[0], got[2], one)
		}
		if told := got[1].Loaded; told != (tt.want >= 0) || told && len(got[1].Filings) != tt.want || got[1].Revision != one.Revision {
			t.Errorf("%s: told %t, %d filings at %s; want %d", name, told, len(got[1].Filings), got[1].Revision, tt.want)
		}
	}
}

// TestAnswerBeyondTheCut: an answer for all names below one cannot rest on what is
// filed further down; it would be taken for the answer of others.
func TestAnswerBeyondTheCut(t *testing.T) {
	names := []registry.Domain{registry.MustParseDomain("www.a.example")}
	for cut, ok := range map[int]bool{2: false, 3: true, 4: true} {
		b := fmt.Sprintf(`{"revision":"7-9:3","answers":[{"cut":%d,"filings":[{"filed":3,"kind":"site","status":"normal"}]}]}`, cut)
		if _, err := feed.ParseAnswer([]byte(b), names); (err == nil) != ok {
			t.Errorf("cut %d: got %v; want it taken: %v", cut, err, ok)
		}
	}
}

func TestHandlerErrors(t *testing.T) {
	view := newView(t)
	for name, tt := range map[string]struct {
		kind, body string
		view       *index.View
		status     int
	}{
		"no type":        {"", `{"names":["a.example"]}`, view, 415},
		"no JSON":        {"application/json", `names`, view, 400},
		"no names":       {"application/json", `{"names":[]}`, view, 400},
		"upper case":     {"application/json", `{"names":["A.example"]}`, view, 400},
		"no name":        {"application/json", `{"names":["a..example"]}`, view, 400},
		"too long":       {"application/json", `{"names":["` + strings.Repeat("a", 600_000) + `"]}`, view, 413},
		"too many":       {"application/json", `{"names":["a"` + strings.Repeat(`,"a"`, 1000) + `]}`, view, 400},
		"more behind":    {"application/json", `{"names":["a.example"]} {}`, view, 400},
		"no registry":    {"application/json", `{"names":["a.example"]}`, nil, 503},
		"with a charset": {"application/json; charset=utf-8", `{"names":["a.example"]}`, view, 200},
	} {
		r := httptest.NewRequest("POST", feed.CoveragePath, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", tt.kind)
		w := httptest.NewRecorder()
		feed.CoverageHandler(func() *index.View { return tt.view }, nil).ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: got %d %s; want %d", name, w.Code, w.Body, tt.status)
		}
	}
}

// FuzzParseAnswer: an answer that is taken says the same when it is written
// again, and says nothing that no registry could say.
func FuzzParseAnswer(f *testing.F) {
	view := newView(f)
	var answers []registry.Coverage
	for _, d := range asked {
		answers = append(answers, view.Cover(d))
	}
	b, err := feed.AppendAnswer(nil, view.Revision(), answers)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"revision":"7-9:3","answers":[{"cut":2},{"cut":2},{"cut":2},{"cut":2},{"cut":2},{"cut":2},{"cut":2},{"cut":2}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := feed.ParseAnswer(b, asked)
		if err != nil {
			return
		}
		again, err := feed.AppendAnswer(nil, got[0].Revision, got)
		if err != nil {
			t.Fatal(err)
		}
		twin, err := feed.ParseAnswer(again, asked)
		if err != nil || !reflect.DeepEqual(twin, got) {
			t.Errorf("got %+v, %v; want %+v", twin, err, got)
		}
		for i, c := range got {
			if c.Loaded && (c.Cut == 0 || int(c.Cut) > asked[i].Labels()+1) || !c.Loaded && (c.Cut != 0 || c.Filings != nil || c.Blacklisted) {
				t.Errorf("%s: got %+v", asked[i], c)
			}
			for _, f := range c.Filings {
				if f.Filed == 0 || int(f.Filed) > asked[i].Labels() || f.Filed > c.Cut || f.Kind == registry.KindIP {
					t.Errorf("%s: got %+v", asked[i], f)
				}
			}
		}
	})
}
