package gate_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestNoticeDirective: what the directive says stands on the page, and its links
// where they help.
func TestNoticeDirective(t *testing.T) {
	p := start(t, 1, fmt.Sprintf(`
http://127.0.0.1:0 {
	ICP
	upstream %s
	block page status 451
	notice provider "Example & Co" contact "400-000-0000, 9-17" contact-mail icp@example.com
	notice contact-url https://help.example.com/icp filing https://filing.example.com/ access https://access.example.com/
	notice blocked-by https://www.example.com/who
}`, newOrigin(t, new(seen))), nil)
	ask := func(host string) string {
		return talk(t, p.addr(t, "http:"), "GET / HTTP/1.1\r\nHost: "+host+"\r\nAccept: text/html\r\n\r\n")
	}
	unfiled, elsewhere := ask("www.example.com"), ask("elsewhere.example")
	for _, want := range []string{
		"HTTP/1.1 451 ", `Link: <https://www.example.com/who>; rel="blocked-by"`, "Example &amp; Co", "400-000-0000, 9-17",
		"mailto:icp@example.com", "https://help.example.com/icp", "https://filing.example.com/",
	} {
		if !strings.Contains(unfiled, want) {
			t.Errorf("no %q in\n%s", want, unfiled)
		}
	}
	if want := "https://access.example.com/"; !strings.Contains(elsewhere, want) {
		t.Errorf("no %q in\n%s", want, elsewhere)
	}
}

// TestProfiles: the admin port serves profiles of the program where the option
// says so, and otherwise none.
func TestProfiles(t *testing.T) {
	for option, want := range map[string]int{"": http.StatusNotFound, "pprof": http.StatusOK} {
		admin := freePort(t)
		start(t, 1, "http://127.0.0.1:0 {\nicp {\nregistry registry.icp\nadmin "+admin+" "+option+"\n}\nserves mainland\nupstream 127.0.0.1:1\n}", nil)
		eventually(t, fmt.Sprintf("admin with %q answers with %d, and as one who accepts", option, want), func() bool {
			resp, err := http.Get("http://" + admin + "/debug/pprof/goroutine?debug=1")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != want {
				t.Fatalf("admin with %q: got %s %.300s, %v; want %d", option, resp.Status, body, err, want)
			}
			// A goroutine that has only been made is not told by its own name.
			return (want == http.StatusOK) == strings.Contains(string(body), "gate.(*listener).accept")
		})
	}
}
