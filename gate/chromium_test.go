package gate_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// browse has Chromium load a page, with names led to a gate, and returns what it
// shows: the page, or its own words about what went wrong.
func browse(t *testing.T, chromium, addr, url string) string {
	t.Helper()
	out, err := chromiumCommand(t, chromium, "en-US", "--ignore-certificate-errors", "--host-resolver-rules=MAP *.example "+addr,
		"--dump-dom", url).CombinedOutput() // an error stands in what it says
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return string(out)
}

// TestChromium (T49): a filed site loads through the gate in the browser that
// most people use; of a blocked one it says what it was told.
func TestChromium(t *testing.T) {
	chromium := needChromium(t)
	s := new(seen)
	secure := newTLSOrigin(t)
	var conf strings.Builder
	fmt.Fprintf(&conf, "http://127.0.0.1:0 {\nICP\nupstream %s\n}\n", newOrigin(t, s))
	for i, block := range []string{"alert", "rst", "fin"} {
		fmt.Fprintf(&conf, "tls://127.0.0.%d:0 {\nICP\nupstream %s\nblock %s\n}\n", i+2, secure, block)
	}
	cert := newCertificate(t, "unfiled.example", "filed.example")
	fmt.Fprintf(&conf, "tls://127.0.0.5:0 {\nICP\nupstream %s\ntls %s %s page\n}\n", secure, cert.Cert, cert.Key)
	p := start(t, 5, conf.String(), nil)
	for _, tt := range []struct{ listener, url, want string }{
		{"http://127.0.0.1:", "http://filed.example/", "GET filed.example 0"},
		{"http://127.0.0.1:", "http://unfiled.example/", "unfiled.example</bdi>"},
		{"tls://127.0.0.2:", "https://filed.example/", "filed.example filed.example"},
		{"tls://127.0.0.2:", "https://unfiled.example/", "ERR_SSL_UNRECOGNIZED_NAME_ALERT"},
		{"tls://127.0.0.3:", "https://unfiled.example/", "ERR_CONNECTION_RESET"},
		{"tls://127.0.0.4:", "https://unfiled.example/", "ERR_CONNECTION_CLOSED"},
		{"tls://127.0.0.5:", "https://filed.example/", "filed.example filed.example"},
		{"tls://127.0.0.5:", "https://unfiled.example/", "unfiled.example</bdi>"},
	} {
		addr := p.addr(t, tt.listener)
		_, port, _ := net.SplitHostPort(addr)
		url := strings.Replace(tt.url, ".example/", ".example:"+port+"/", 1)
		want := strings.Replace(tt.want, "filed.example filed.example", "filed.example filed.example:"+port, 1)
		want = strings.Replace(want, "GET filed.example 0", "GET filed.example:"+port+" 0", 1)
		if got := browse(t, chromium, addr, url); !strings.Contains(got, want) {
			t.Errorf("%s at %s: no %q in\n%s", tt.url, tt.listener, want, got)
		} else {
			t.Logf("%-26s %-18s %s", tt.url, tt.listener, want)
		}
	}
}
