package authz_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/registry"
)

func TestParseQuery(t *testing.T) {
	for _, tt := range []struct {
		query string
		want  authz.Check
		wrong string // what the problem names; "" is none
	}{
		{"host=www.example.com", authz.Check{Host: "www.example.com"}, ""},
		{"host=", authz.Check{}, ""},
		{"product=cdn&addr=203.0.113.9&host=a%3A80", authz.Check{"a:80", netip.MustParseAddr("203.0.113.9"), registry.CDN}, ""},
		{"host=%E4%BE%8B%E5%AD%90.example", authz.Check{Host: "例子.example"}, ""},
		{"host=a&addr=::ffff:203.0.113.9", authz.Check{Host: "a", Addr: netip.MustParseAddr("203.0.113.9")}, ""},
		{"", authz.Check{}, "host is missing"},
		{"addr=203.0.113.9", authz.Check{}, "host is missing"},
		{"host=a&host=b", authz.Check{}, "twice"},
		{"host=a&hosts=b", authz.Check{}, `"hosts"`},
		{"Host=a", authz.Check{}, `"Host"`},
		{"host=a;addr=203.0.113.9", authz.Check{}, "cannot be read"},
		{"host=%zz", authz.Check{}, "cannot be read"},
		{"host=a&addr=", authz.Check{}, `addr ""`},
		{"host=a&addr=203.0.113.9:80", authz.Check{}, `"203.0.113.9:80"`},
		{"host=a&addr=fe80::1%25eth0", authz.Check{}, "addr"},
		{"host=a&product=blimp", authz.Check{}, `"blimp"`},
		{"host=" + strings.Repeat("a", 300), authz.Check{}, "at most"},
		{"host=%ff", authz.Check{}, "host"},
	} {
		got, p := authz.ParseQuery(tt.query)
		switch {
		case tt.wrong == "" && (p != nil || got != tt.want):
			t.Errorf("%q: %+v, %+v; want %+v", tt.query, got, p, tt.want)
		case tt.wrong != "" && (p == nil || p.Status != 400 || !strings.Contains(p.Detail, tt.wrong)):
			t.Errorf("%q: %+v; want 400 that says %q", tt.query, p, tt.wrong)
		}
	}
}

func TestParseChecks(t *testing.T) {
	one, two := authz.Check{Host: "a.example"}, authz.Check{"b.example", netip.MustParseAddr("203.0.113.9"), registry.CDN}
	for _, tt := range []struct {
		body           string
		want           []authz.Check
		many           bool
		wrong, pointer string
	}{
		{`{"host":"a.example"}`, []authz.Check{one}, false, "", ""},
		{` [ {"host":"a.example"} , {"product":"cdn","addr":"203.0.113.9","host":"b.example"} ] `, []authz.Check{one, two}, true, "", ""},
		{`{"host":""}`, []authz.Check{{}}, false, "", ""},
		{``, nil, false, "too early", ""},
		{`[]`, nil, true, "one at least", ""},
		{`{}`, nil, false, "host is missing", ""},
		{`[{"host":"a"},{}]`, nil, true, "host is missing", "/1"},
		{`null`, nil, false, "expect an object", ""},
		{`"a.example"`, nil, false, "expect an object", ""},
		{`[null]`, nil, true, "expect an object", "/0"},
		{`[[{"host":"a"}]]`, nil, true, "expect an object", "/0"},
		{`{"host":null}`, nil, false, "no string", "/host"},
		{`{"host":1}`, nil, false, "no string", "/host"},
		{`{"host":{"host":"a"}}`, nil, false, "no string", "/host"},
		{`{"host":"a","host":"b"}`, nil, false, "twice", "/host"},
		{`{"Host":"a"}`, nil, false, `unknown "Host"`, "/Host"},
		{`[{"host":"a","x/y~":"b"}]`, nil, true, "unknown", "/0/x~1y~0"},
		{`[{"host":"a","addr":"b"}]`, nil, true, `addr "b"`, "/0/addr"},
		{`{"host":"a"`, nil, false, "too early", ""},
		{`[{"host":"a"},`, nil, true, "too early", "/1"},
		{`{"host":"a"} {"host":"b"}`, nil, false, "behind the end", ""},
		{`{"host":"a"}]`, nil, false, "behind the end", ""},
		{`{'host':'a'}`, nil, false, "invalid character", ""},
		{"{\"host\":\"\xff\"}", nil, false, "UTF-8", ""},
		{"[" + strings.Repeat(`{"host":"a"},`, authz.MaxChecks) + `{"host":"a"}]`, nil, true, "1000", "/1000"},
	} {
		got, many, p := authz.ParseChecks([]byte(tt.body))
		name := tt.body[:min(len(tt.body), 60)]
		switch {
		case tt.wrong == "" && (p != nil || many != tt.many || !slices.Equal(got, tt.want)):
			t.Errorf("%s: %+v, many %v, %+v; want %+v", name, got, many, p, tt.want)
		case tt.wrong != "" && (p == nil || p.Status != 400 || !strings.Contains(p.Detail, tt.wrong) || p.Pointer != tt.pointer):
			t.Errorf("%s: %+v; want 400 at %q that says %q", name, p, tt.pointer, tt.wrong)
		}
	}
}

func TestCheckType(t *testing.T) {
	for typ, ok := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, "Application/JSON": true,
		"": false, "text/json": false, "application/x-www-form-urlencoded": false, "application/json, text/plain": false,
	} {
		if p := authz.CheckType([]byte(typ)); (p == nil) != ok || p != nil && p.Status != 415 {
			t.Errorf("%q: %+v; want ok %v", typ, p, ok)
		}
	}
}

// TestProblem: what is told is JSON, whatever was asked.
func TestProblem(t *testing.T) {
	_, p := authz.ParseQuery("host=a&\"\x00<%ff=b")
	var got map[string]any
	if err := json.Unmarshal(p.AppendJSON(nil), &got); err != nil {
		t.Fatalf("%v: %s", err, p.AppendJSON(nil))
	}
	if got["title"] != "Bad Request" || got["status"] != 400.0 || !strings.Contains(got["detail"].(string), "unknown") {
		t.Errorf("%v", got)
	}
}

// FuzzParseChecks: what we take, encoding/json takes as well and reads the same.
// What it takes and we do not has a name in another case or twice, a null, or a
// value that is refused for what it says.
func FuzzParseChecks(f *testing.F) {
	for _, s := range []string{
		`{"host":"a.example"}`, `[{"host":"a","addr":"203.0.113.9","product":"cdn"},{"host":"b"}]`, `{"host":"\u0061\ud83d\ude00"}`,
		`{"host":"a","host":"b"}`, `{"HOST":"a"}`, `[{"host":null}]`, `[]`, `{"host":"a"} x`, "[{\"host\":\"\xff\"}]",
	} {
		f.Add([]byte(s))
	}
	type twin struct{ Host, Addr, Product *string }
	f.Fuzz(func(t *testing.T, body []byte) {
		got, many, p := authz.ParseChecks(body)
		dec := json.NewDecoder(strings.NewReader(string(body)))
		dec.DisallowUnknownFields()
		want := make([]twin, 1)
		var into any = &want[0]
		if many {
			into = &want
		}
		if p != nil {
			if p.Status != 400 || p.Detail == "" {
				t.Fatalf("%q: %+v", body, p)
			}
			return
		}
		if err := dec.Decode(into); err != nil {
			t.Fatalf("%q: encoding/json: %v; we read %+v", body, err, got)
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %d; the twin has %d", body, len(got), len(want))
		}
		for i, c := range got {
			w := want[i]
			if w.Host == nil || c.Host != *w.Host {
				t.Fatalf("%q: host %q; the twin has %v", body, c.Host, w.Host)
			}
			if c.Addr.IsValid() != (w.Addr != nil) || w.Addr != nil && c.Addr != netip.MustParseAddr(*w.Addr).Unmap() {
				t.Fatalf("%q: address %s; the twin has %v", body, c.Addr, w.Addr)
			}
			if w.Product != nil && c.Product.String() != *w.Product {
				t.Fatalf("%q: product %s; the twin has %s", body, c.Product, *w.Product)
			}
		}
	})
}
