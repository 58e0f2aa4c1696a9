package sniff_test

import (
	"fmt"
	"strings"
	"testing"

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
		"X-Forwarded-For: a.example":                                       "",
		"X-Forwarded-Host: B.example":                                      "name B.example",
		"X_Forwarded_Host: b.example":                                      "name b.example",
		"X-Forwarded-Host: b.example:8080 , c.example,, [2001:db8::1]:80":  "name b.example, name c.example, literal 2001:db8::1",
		"X-Forwarded-Host: A.Example:80, a.example":                        "",
		"X-Forwarded-Host: a.example., 192.0.2.1":                          "name a.example., literal 192.0.2.1",
		"X-Forwarded-Host:":                                                "",
		"X-Forwarded-Host: a.example b.example":                            "malformed",
		"X-Forwarded-Host: http://b.example":                               "malformed",
		"X-Forwarded-Host: a.example@b.example, b.example":                 "malformed, name b.example",
		"Forwarded: for=192.0.2.1;proto=http":                              "",
		"Forwarded: for=192.0.2.1;Host=b.example;proto=http":               "name b.example",
		`Forwarded: for="[2001:db8::1]:9", host="b.example:80" ;by=_x`:     "name b.example",
		"Forwarded: host=a.example, host=b.example":                        "name b.example",
		"Forwarded: host = b.example":                                      "name b.example",
		`Forwarded: host=""`:                                               "",
		`Forwarded: for="x;host=b.example;y"`:                              "malformed",
		`Forwarded: for="\";host=b.example;y="`:                            "malformed",
		`Forwarded: for=x";host=b.example`:                                 "malformed",
		`Forwarded: host="b.ex\ample"`:                                     "malformed",
		`Forwarded: host=b.example"`:                                       "malformed",
		`Forwarded: host=b.example host=c.example`:                         "malformed, malformed",
		"Forwarded: for=localhost;myhost=b.example":                        "",
		"Forwarded: for=\"unfinished":                                      "",
		"Forwarded: host=filed.example/unfiled.example;host=a.example:80x": "malformed, malformed",
	} {
		head := []byte(get("Host: a.example", line))
		r := sniff.ReadRequest(head, 0, sniff.Limits{})
		var got []string
		for kind, host := range r.HostsTold(head) {
			if got = append(got, kind.String()); kind != sniff.Malformed {
				got[len(got)-1] += fmt.Sprintf(" %s", host)
			}
		}
		if got := strings.Join(got, ", "); r.Kind != sniff.Name || got != want {
			t.Errorf("%s: got %s %q; want %q", line, r.Kind, got, want)
		}
	}
}
