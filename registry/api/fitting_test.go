package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry/api"
)

// quoted is a text as JSON has it.
func quoted(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestTexts: texts that nobody could see, that a database cannot hold or that have
// no end are refused, whatever they are for, and leave nothing behind; the same on
// both databases.
func TestTexts(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		// Each %s is a text, in turn; the others are good ones.
		const server = `{"id":%s,"provider":"aliyun","product":"ecs","region":"cn-hangzhou","account":%s,"why":%s}`
		w.call(t, "write", "PUT", api.ServersPath, api.SetServer{Server: api.Server{ID: "i-1", Provider: "aliyun", Product: "ecs", Region: "cn-hangzhou"}, Why: "x"}, nil, 200)
		w.call(t, "write", "PATCH", api.FilingsPath, api.SetFiling{Why: "x", Set: api.Row{Domains: p([]string{"texts.test"}), Number: p("京ICP备00000099号-1")}}, nil, 200)
		for _, route := range []struct {
			token, method, path, body string
			texts                     []string // what the texts are called
			prose                     int      // how many of the last may have several lines
		}{
			{"write", "PUT", api.ServersPath, server, []string{"id", "account", "reason"}, 1},
			{"write", "POST", api.ServersPath + "/remove", `{"id":"i-1","why":%s}`, []string{"reason"}, 1},
			{"write", "PUT", api.ServiceNumbersPath, `{"number":%s,"server":"i-1","account":%s,"why":%s}`, []string{"service number", "account", "reason"}, 1},
			{"admin", "PUT", api.PersonsPath, `{"name":%s,"roles":[%s],"why":%s}`, []string{"name of a person", "role", "reason"}, 1},
			{"admin", "POST", api.TokensPath, `{"owner":%s,"note":%s,"scopes":["feed"]}`, []string{"owner", "note"}, 1},
			{"write", "PUT", api.BlacklistPath, `{"name":"bad.test","why":%s}`, []string{"reason"}, 1},
			{"write", "PUT", api.BlacklistPath, `{"entity":"京ICP备00000099号","why":%s}`, []string{"reason"}, 1},
			{"write", "PUT", api.ExemptionsPath, `{"name":"ok.test","why":%s}`, []string{"reason"}, 1},
			{"all", "PUT", api.EntitiesPath + "/contact", `{"number":"京ICP备00000099号","contact":{"person":%s,"phone":%s},"why":%s}`, []string{"person", "phone", "reason"}, 3},
		} {
			fill := func(i int, bad string) string {
				args := make([]any, len(route.texts))
				for j := range args {
					args[j] = `"good"`
				}
				args[i] = bad
				return fmt.Sprintf(route.body, args...)
			}
			refused := func(i int, what, bad, want string, status int) {
				t.Helper()
				before, events := w.state(t)
				got, _, text := w.ask(t, route.method, route.path, w.bearer(route.token), fill(i, bad))
				var p api.Problem
				if err := json.Unmarshal([]byte(text), &p); err != nil || got != status || !strings.Contains(p.Detail, want) && status == 422 {
					t.Errorf("%s %s, %s in %s: got %d %s; want %d with %q", route.method, route.path, what, route.texts[i], got, text, status, want)
				}
				if after, more := w.state(t); after != before || more != events {
					t.Errorf("%s %s, %s in %s: something was written", route.method, route.path, what, route.texts[i])
				}
			}
			for i, name := range route.texts {
				refused(i, "NUL", `"a\u0000b"`, "U+0000", 422)
				refused(i, "NUL alone", `"\u0000"`, "U+0000", 422)
				refused(i, "no UTF-8", "\"a\xffb\"", "", http.StatusBadRequest)
				refused(i, "an escape", `"a\u001b[2Jb"`, name, 422)
				refused(i, "the end of C1", `"a\u009fb"`, name, 422)
				refused(i, "much", quoted(t, strings.Repeat("很长", 10_000)), name, 422)
				refused(i, "another direction", `"a\u202eb"`, name, 422)
				if i < len(route.texts)-route.prose {
					refused(i, "two lines", `"a\nb"`, name, 422)
					refused(i, "a line separator", `"a\u2028b"`, name, 422)
				}
			}
		}
		for _, path := range []string{
			api.ServersPath + "?id=", api.ServersPath + "?after=", api.HistoryPath + "?of=", api.ExplainPath + "?host=", api.FilingsPath + "?of=", api.ServiceNumbersPath + "?server=",
		} {
			for _, bad := range []string{"\x00", "a\x00b", "\xff"} {
				if status, _, text := w.ask(t, "GET", path+url.QueryEscape(bad), w.bearer("all"), ""); status != 422 {
					t.Errorf("GET %s%q: got %d %s; want 422", path, bad, status, text)
				}
			}
		}
		// What people write is taken.
		good := api.SetServer{Server: api.Server{ID: "机-1", Provider: "aliyun", Product: "ecs", Region: "cn-hangzhou", Account: "账户 7"}, Why: "order 7:\n\tsee the letter of 3 March"}
		w.call(t, "write", "PUT", api.ServersPath, good, nil, 200)
	})
}

// TestQueriesThatCannotBeRead: every route refuses a query of which it would read a part
// alone, as a problem, and one with what no text may hold.
func TestQueriesThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	for route := range w.described(t) {
		method, path, _ := strings.Cut(route, " ")
		path = strings.NewReplacer("{sha256}", strings.Repeat("0", 64), "{id}", "0123456789abcdef", "{list}", "networks").Replace(path)
		for query, want := range map[string]int{"a=%zz": 400, "a=%00&b=%zz": 400, "a=1;b=2": 400, "%": 400, "a=%00": 422, "%ff=1": 422} {
			status, kind, text := w.ask(t, method, path+"?"+query, w.bearer("all"), "")
			var p api.Problem
			if err := json.Unmarshal([]byte(text), &p); err != nil || status != want || kind != "application/problem+json" || p.Status != want || p.Detail == "" {
				t.Errorf("%s ?%s: got %d %s %s; want %d", route, query, status, kind, text, want)
			}
		}
	}
}
