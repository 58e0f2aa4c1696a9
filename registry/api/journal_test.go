package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/api"
)

// TestJournal: all that was done, newest first, page by page, by time, by whom and of
// which kind; without personal data.
func TestJournal(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.clock.seconds.Add(60)
		begun := w.clock.now().UTC()
		w.clock.seconds.Add(60)
		w.call(t, "write", "PATCH", api.FilingsPath, api.SetFiling{Why: "order 1", Set: api.Row{Domains: p([]string{"b.test"}), EntityName: p("张三"), EntityNature: p("individual")}}, nil, 200)
		w.clock.seconds.Add(60)
		later := w.clock.now().UTC()
		w.call(t, "all", "PUT", api.ExemptionsPath, api.Exemption{Name: "x.test", Why: "order 2"}, nil, 200)
		w.call(t, "all", "PATCH", api.FilingsPath, api.SetFiling{Of: "b.test", Why: "order 3", Set: api.Row{Restricted: p(true)}}, nil, 200)
		w.call(t, "all", "PATCH", api.FilingsPath, api.SetFiling{Of: "b.test", Why: "not a change", Set: api.Row{Restricted: p(true)}}, nil, 200)
		w.call(t, "all", "POST", api.FilingsPath+"/cancel", api.Cancel{Of: "b.test", Why: "order 4", Remove: true}, nil, 200)
		const id = "00000000000000a1"
		w.staged(t, id, "", "x.csv", table("m1.test", "m2.test"))
		w.published(t, id)

		said := func(query string) (all []string) {
			t.Helper()
			for after := ""; len(all) < 100; {
				var j api.Journal
				text := w.call(t, "read", "GET", api.JournalPath+"?limit=2"+after+query, nil, &j, 200)
				if strings.Contains(text, "张三") {
					t.Errorf("the journal has a name of an individual: %s", text)
				}
				for _, e := range j.Events {
					change := "?"
					switch {
					case e.Was == nil:
						change = "+"
					case e.Is == nil:
						change = "-"
					}
					all = append(all, fmt.Sprint(e.What, change, e.Key, " ", e.Why))
				}
				if j.Next == "" {
					return all
				}
				after = "&after=" + j.Next
			}
			return all
		}
		since := "&since=" + url.QueryEscape(later.Format(time.RFC3339))
		filings := []string{"filing-b.test (site) order 4", "filing?b.test (site) order 3", "filing+b.test (site) order 1"}
		imports := []string{"import?" + id + " a test", "import+" + id + " a test"}
		for query, want := range map[string][]string{
			"&what=filing&since=" + url.QueryEscape(begun.Format(time.RFC3339)): filings,
			"&what=filing" + since: filings[:2],
			"&what=filing&until=" + url.QueryEscape(later.Format(time.RFC3339)) + "&since=" + url.QueryEscape(begun.Format(time.RFC3339)): filings[2:],
			"&what=import":             imports,
			since:                      append(append([]string{}, imports...), filings[0], filings[1], "exemptions+x.test order 2"),
			"&what=exemptions&who=ann": {"exemptions+x.test order 2"},
			"&who=nobody":              nil,
		} {
			if got := said(query); strings.Join(got, "; ") != strings.Join(want, "; ") {
				t.Errorf("%s: got %q; want %q", query, got, want)
			}
		}
		// What filings were is told once.
		var h api.History
		if w.call(t, "read", "GET", api.HistoryPath+"?of=b.test", nil, &h, 200); len(h.Events) != 3 {
			t.Errorf("the history of a name: %+v", h)
		}
		for _, bad := range []string{"?after=x", "?after=-1", "?since=yesterday", "?limit=0", "?of=b.test"} {
			w.call(t, "read", "GET", api.JournalPath+bad, nil, nil, 422)
		}
	})
}

// TestJournalForAdmins: what tokens and persons may do is told to those who may list
// them; who made them when, to all who read.
func TestJournalForAdmins(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.call(t, "all", "PUT", api.PersonsPath, api.SetPerson{Name: "zoe", Roles: []string{"approver"}, Why: "order 1"}, nil, 204)
		var made api.MadeToken
		w.call(t, "all", "POST", api.TokensPath, api.NewToken{Owner: "zoe", Note: "a secret note", Scopes: []string{"read"}}, &made, 201)
		for _, path := range []string{api.JournalPath + "?what=person", api.JournalPath + "?what=token", api.HistoryPath + "?of=" + made.Token.ID} {
			for who, told := range map[string]bool{"read": false, "all": true} {
				text := w.call(t, who, "GET", path, nil, nil, 200)
				if !strings.Contains(text, `"who":`) {
					t.Errorf("%s with the token %q: no entry in %s", path, who, text)
				}
				if strings.Contains(text, `"is":`) != told {
					t.Errorf("%s with the token %q: got %s; want it told: %v", path, who, text, told)
				}
			}
		}
	})
}
