package gate_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// TestForwardedAlike: what is the same to programs behind CGI and WSGI as a field
// that tells of the client does not pass beside it, over HTTP/1 and HTTP/2.
func TestForwardedAlike(t *testing.T) {
	o := newRaw(t)
	const kept = "X-Forwards: 1\r\nX_Other: 1\r\n"
	alike := []string{
		"X_Forwarded_For", "X-Forwarded_For", "x_forwarded-for", "X_FORWARDED_PROTO", "X-Forwarded_Host", "X_Forwarded_Port",
		"X.Forwarded.For", "X_Real_IP", "X-Real_IP", "X_Forwarded_Ssl",
	}
	exact := []string{"X-Forwarded-Host", "X-Forwarded-Port", "X-Real-IP", "X-Forwarded-Ssl"}
	for _, tt := range []struct{ mode, passes string }{
		{"add", strings.Join(exact, " ")},
		{"replace", ""},
		{"off", strings.Join(append(alike, exact...), " ")},
	} {
		addr := startH2C(t, o.addr, "forwarded "+tt.mode)
		lines, pairs := kept, []string{"x-forwards", "1", "x_other", "1"}
		for _, name := range append(alike, exact...) {
			lines += name + ": filed.example\r\n"
			pairs = append(pairs, strings.ToLower(name), "filed.example")
		}
		told := regexp.MustCompile(`(?im)^([^:\r\n]+): filed\.example\r?$`)
		passed := func(text string) string {
			var list []string
			for _, m := range told.FindAllStringSubmatch(text, -1) {
				if !strings.EqualFold(m[1], "host") {
					list = append(list, m[1])
				}
			}
			return strings.Join(list, " ")
		}
		if got := raw(t, addr, []byte("GET / HTTP/1.1\r\nHost: filed.example\r\n"+lines+"\r\n"), false); got != "200" {
			t.Fatalf("%s: got %s; want 200", tt.mode, got)
		}
		text := o.take()
		if got := passed(text); got != tt.passes || !strings.Contains(text, kept) {
			t.Errorf("%s: %q passed; want %q, and %q", tt.mode, got, tt.passes, kept)
		}
		f := newFramed(t, addr)
		f.ask(1, "GET", "filed.example", "/", true, pairs...)
		if got := f.answers(1)[1]; !strings.HasPrefix(got, "200") {
			t.Fatalf("%s over HTTP/2: got %s; want 200", tt.mode, got)
		}
		text = o.take()
		if n, want := len(strings.Fields(passed(text))), len(strings.Fields(tt.passes)); n != want || !strings.Contains(text, "X_other: 1\r\n") {
			t.Errorf("%s over HTTP/2: %q passed; want %d: %s", tt.mode, passed(text), want, tt.passes)
		}
	}
}

// TestHostTold: a host that a request tells beside its own must pass as well, unless
// it is taken out.
func TestHostTold(t *testing.T) {
	o := newRaw(t)
	for _, tt := range []struct{ mode, name, value, want string }{
		{"add", "X-Forwarded-Host", "unfiled.example", "403 unfiled.example"},
		{"off", "X-Forwarded-Host", "unfiled.example", "403 unfiled.example"},
		{"replace", "X-Forwarded-Host", "unfiled.example", "200"},
		{"add", "X-Forwarded-Host", "Filed.example", "200"},
		{"add", "X-Forwarded-Host", "www.filed.example:8080, filed.example", "200"},
		{"add", "X-Forwarded-Host", "filed.example, unfiled.example", "403 unfiled.example"},
		{"add", "X-Forwarded-Host", "filed.example unfiled.example", "400"},
		{"off", "X-Forwarded-Host", "unfiled.example@filed.example", "400"},
		{"replace", "X-Forwarded-Host", "unfiled.example@filed.example", "200"},
		{"off", "X_Forwarded_Host", "unfiled.example", "403 unfiled.example"},
		{"add", "Forwarded", "for=192.0.2.1;host=unfiled.example", "403 unfiled.example"},
		{"off", "Forwarded", `for=x, host="unfiled.example:80"`, "403 unfiled.example"},
		{"replace", "Forwarded", "host=unfiled.example", "200"},
		{"add", "Forwarded", "host=filed.example;proto=https", "200"},
		{"add", "Forwarded", `for=";host=unfiled.example"`, "400"},
		{"add", "X_Forwarded_Host", "unfiled.example", "200"}, // it is taken out
		{"replace", "X_Forwarded_Host", "unfiled.example", "200"},
		{"add", "Forwarded", "for=x;myhost=unfiled.example", "403 unfiled.example"},
		{"add", "Forwarded", `"host"=unfiled.example`, "400"},
		{"off", "Forwarded", "h\\ost=unfiled.example", "400"},
		{"add", "Forwarded", `for=192.0.2.1;x="`, "400"},
		{"add", "Forwarded", `for="[2001:db8::1]:1234";proto=https;by=_hidden, for=unknown`, "200"},
	} {
		addr := startH2C(t, o.addr, "forwarded "+tt.mode)
		check := func(over, got string) {
			t.Helper()
			text := o.take()
			passed := strings.Contains(text, "unfiled.example")
			if blocked := regexp.MustCompile(`\w*\.example`).FindString(got); strings.HasPrefix(got, "403") {
				got = "403 " + blocked
			} else {
				got = got[:3]
			}
			if got != tt.want || passed || (got == "200") != (text != "") {
				t.Errorf("forwarded %s, %s: %s over %s: got %s, and the origin %q; want %s", tt.mode, tt.name, tt.value, over, got, text, tt.want)
			}
		}
		text := talk(t, addr, fmt.Sprintf("GET / HTTP/1.1\r\nHost: filed.example\r\nAccept: text/plain\r\n%s: %s\r\n\r\n", tt.name, tt.value))
		check("HTTP/1", strings.TrimPrefix(text, "HTTP/1.1 "))
		f := newFramed(t, addr)
		f.ask(1, "GET", "filed.example", "/", true, "accept", "text/plain", strings.ToLower(tt.name), tt.value)
		check("HTTP/2", f.answers(1)[1])
		_ = f.WriteGoAway(0, http2.ErrCodeNo, nil)
	}
	// The first is blocked as ever, whatever else is told.
	for _, line := range []string{"X-Forwarded-Host: filed.example", "Forwarded: host=filed.example"} {
		addr := startH2C(t, o.addr, "forwarded add")
		if got := raw(t, addr, []byte("GET / HTTP/1.1\r\nHost: unfiled.example\r\n"+line+"\r\n\r\n"), false); got != "403" || o.take() != "" {
			t.Errorf("%s: got %s; want 403", line, got)
		}
	}
}
