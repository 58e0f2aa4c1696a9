package authz_test

import (
	"net/netip"
	"testing"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

func name(s string) registry.Host { return registry.Host{Name: registry.MustParseDomain(s)} }

func addr(s string) registry.Host { return registry.Host{Addr: netip.MustParseAddr(s)} }

func TestReadAuthority(t *testing.T) {
	for _, tt := range []struct {
		text string
		want authz.Question
	}{
		{"www.example.com", authz.Question{Host: name("www.example.com")}},
		{"WWW.Example.com.:8443", authz.Question{Host: name("www.example.com")}},
		{"192.0.2.1:80", authz.Question{Host: addr("192.0.2.1")}},
		{"[2001:db8::1]:80", authz.Question{Host: addr("2001:db8::1")}},
		{"", authz.Question{}},
		{"www.example.com:80@example.net", authz.Question{Cause: sniff.BadHost}},
		{"www.example.com, example.net", authz.Question{Cause: sniff.BadHost}},
		{"xn--a.example.com..", authz.Question{Cause: sniff.BadHost}},
		{"例子.example", authz.Question{Cause: sniff.BadHost}},
	} {
		var q authz.Question
		if q.ReadAuthority(tt.text); q != tt.want {
			t.Errorf("%q: %+v; want %+v", tt.text, q, tt.want)
		}
	}
}

func TestReadName(t *testing.T) {
	for _, tt := range []struct {
		text string
		want authz.Question
	}{
		{"www.example.com", authz.Question{Host: name("www.example.com")}},
		{"", authz.Question{}},
		{"192.0.2.1", authz.Question{Host: addr("192.0.2.1")}},
		{"www.example.com:443", authz.Question{Cause: sniff.BadName}},
		{"www.example.com\x00.example.net", authz.Question{Cause: sniff.BadName}},
	} {
		q := authz.Question{Host: name("before.example"), Cause: sniff.BadAddress}
		if q.ReadName(tt.text); q != tt.want {
			t.Errorf("%q: %+v; want %+v", tt.text, q, tt.want)
		}
	}
}
