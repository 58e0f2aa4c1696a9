package sniff_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
)

func TestTellsOf(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tells sniff.Tells
		alike bool
	}{
		{"X-Forwarded-For", sniff.TellsAddr, false},
		{"x-forwarded-proto", sniff.TellsProto, false},
		{"X-FORWARDED-HOST", sniff.TellsHost, false},
		{"forwarded", sniff.TellsElement, false},
		{"X-Real-IP", sniff.TellsMore, false},
		{"X-Forwarded-Tls-Client-Cert", sniff.TellsMore, false},
		{"X_Forwarded_For", sniff.TellsAddr, true},
		{"X-Forwarded_Proto", sniff.TellsProto, true},
		{"x_forwarded-host", sniff.TellsHost, true},
		{"X.Forwarded~Host", sniff.TellsHost, true},
		{"X_Real-IP", sniff.TellsMore, true},
		{"X-Forwarded-", sniff.TellsNothing, false},
		{"XaForwarded-For", sniff.TellsNothing, false},
		{"X-ForwardedFor", sniff.TellsNothing, false},
		{"Forwarde_", sniff.TellsNothing, false},
		{"X-Original-Host", sniff.TellsNothing, false},
	} {
		if tells, alike := sniff.TellsOf([]byte(tt.name)); tells != tt.tells || alike != tt.alike {
			t.Errorf("%s: got %d %v; want %d %v", tt.name, tells, alike, tt.tells, tt.alike)
		}
	}
}

func TestHostsTold(t *testing.T) {
	for line, want := range map[string]string{
		"X-Forwarded-For: a.example":                                        "",
		"X-Forwarded-Host: B.example":                                       "name B.example",
		"X_Forwarded_Host: b.example":                                       "name b.example",
		"X-Forwarded-Host: b.example:8080 , c.example,, [2001:db8::1]:80":   "name b.example, name c.example, literal 2001:db8::1",
		"X-Forwarded-Host: A.Example:80, a.example":                         "",
		"X-Forwarded-Host: a.example., 192.0.2.1":                           "name a.example., literal 192.0.2.1",
		"X-Forwarded-Host:":                                                 "",
		"X-Forwarded-Host: a.example b.example":                             "malformed",
		"X-Forwarded-Host: http://b.example":                                "malformed",
		"X-Forwarded-Host: a.example@b.example, b.example":                  "malformed, name b.example",
		"Forwarded: for=192.0.2.1;proto=http":                               "",
		"Forwarded: for=192.0.2.1;Host=b.example;proto=http":                "name b.example",
		`Forwarded: for="[2001:db8::1]:9", host="b.example:80" ;by=_x`:      "name b.example",
		"Forwarded: host=a.example, host=b.example":                         "name b.example",
		"Forwarded: host = b.example":                                       "name b.example",
		`Forwarded: host=""`:                                                "",
		`Forwarded: for="x;host=b.example;y"`:                               "malformed",
		`Forwarded: for="\";host=b.example;y="`:                             "malformed",
		`Forwarded: for=x";host=b.example`:                                  "malformed",
		`Forwarded: host="b.ex\ample"`:                                      "malformed",
		`Forwarded: host=b.example"`:                                        "malformed",
		`Forwarded: host=b.example host=c.example`:                          "malformed, malformed",
		"Forwarded: for=localhost;host":                                     "",
		"Forwarded: for=x;myHost=b.example, x-host =c.example":              "name b.example, name c.example",
		`Forwarded: "host"=b.example`:                                       "malformed",
		`Forwarded: for=x;h"os"t=b.example`:                                 "malformed",
		`Forwarded: h\ost=b.example`:                                        "malformed",
		"Forwarded: host\xa0=b.example":                                     "malformed",
		"Forwarded: for=\"x;host\xa0=b.example\"":                           "malformed",
		"Forwarded: for=\"unfinished":                                       "malformed",
		`Forwarded: for=x;y="unfinished\"`:                                  "malformed",
		`Forwarded: for="[2001:db8::1]:1";by=_x;x="a,;=\\\"",,;proto=https`: "",
		"Forwarded: host=filed.example/unfiled.example;host=a.example:80x":  "malformed, malformed",
	} {
		head := []byte(get("Host: a.example", line))
		r := sniff.ReadRequest(head, 0, sniff.Limits{})
		var got []string
		for kind, host := range r.HostsTold(head, true) {
			if got = append(got, kind.String()); kind != sniff.Malformed {
				got[len(got)-1] += fmt.Sprintf(" %s", host)
			}
		}
		if got := strings.Join(got, ", "); r.Kind != sniff.Name || got != want {
			t.Errorf("%s: got %s %q; want %q", line, r.Kind, got, want)
		}
	}
}

// TestHostsOfEffort: what looks like many hosts takes no more than a few times what as
// many bytes of anything else do; HTTP/2 leaves blanks behind a value.
func TestHostsOfEffort(t *testing.T) {
	const n = 3000
	effort := func(value string) time.Duration {
		least := time.Hour
		for range 10 {
			begun := time.Now()
			for range sniff.HostsOf(sniff.TellsElement, []byte(value)) {
			}
			least = min(least, time.Since(begun))
		}
		return least
	}
	usual := effort(strings.Repeat("fors;", n) + strings.Repeat("x", 5*n))
	for _, unit := range []string{"host;", "host", "=", "host ;"} {
		if got := effort(strings.Repeat(unit, n) + strings.Repeat(" ", 5*n)); got > 30*usual {
			t.Errorf("%q: %v; want few times %v", unit, got, usual)
		}
	}
}
