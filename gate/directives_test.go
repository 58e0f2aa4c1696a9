package gate_test

import (
	"fmt"
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
