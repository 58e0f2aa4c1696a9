package registry_test

import (
	"testing"

	"github.com/icpgate/icpgate/registry"
)

func TestParseHost(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		kind     registry.HostKind
		acme     bool
	}{
		{"", "", registry.NoHost, false},
		{"www.Example.com:80", "www.example.com", registry.NameHost, false},
		{"www.example.com/.well-known/acme-challenge/x", "www.example.com", registry.NameHost, true},
		{"www.example.com:80/.well-known/acme-challenge/", "www.example.com", registry.NameHost, true},
		{"www.example.com/.well-known/acme-challenge", "www.example.com", registry.NameHost, false},
		{"www.example.com/x/.well-known/acme-challenge/y", "www.example.com", registry.NameHost, false},
		{"192.0.2.1", "192.0.2.1", registry.AddrHost, false},
		{"192.0.2.1:8080", "192.0.2.1", registry.AddrHost, false},
		{"192.0.2.1.", "192.0.2.1", registry.AddrHost, false},
		{"192.0.2.1/x", "192.0.2.1", registry.AddrHost, false},
		{"192.0.2.1.:8080", "192.0.2.1", registry.AddrHost, false},
		{"www.example.com:", "www.example.com", registry.NameHost, false},
		{"www.example.com:/x", "www.example.com", registry.NameHost, false},
		{"2001:db8::1", "2001:db8::1", registry.AddrHost, false},
		{"[2001:db8::1]", "2001:db8::1", registry.AddrHost, false},
		{"[2001:db8::1]:443", "2001:db8::1", registry.AddrHost, false},
	} {
		h, err := registry.ParseHost(tt.in)
		if err != nil || h.String() != tt.want || h.Kind() != tt.kind || h.ACME != tt.acme {
			t.Errorf("ParseHost(%q): got %q, kind %d, ACME %v, %v; want %q, kind %d, ACME %v", tt.in, h, h.Kind(), h.ACME, err, tt.want, tt.kind, tt.acme)
		}
	}
	for _, in := range []string{"/path", "a b", "[fe80::1%eth0]", "fe80::1%eth0", "[2001:db8::1", "[]", "192.0.2.256", "192.0.2", "example.com:x", "example.com:80:80",
		"http://www.example.com/", "https://192.0.2.1", "[192.0.2.1]", "[192.0.2.1]:80", "192.0.2.1..:80"} {
		if h, err := registry.ParseHost(in); err == nil {
			t.Errorf("ParseHost(%q): got %q; want an error", in, h)
		}
	}
}

func TestNotJudged(t *testing.T) {
	for name, want := range map[string]bool{
		"localhost": true, "app.localhost": true, "intranet": true, "1.2.0.192.in-addr.arpa": true, "8.b.d.0.ip6.arpa": true,
		"in-addr.arpa": true, "nas.home.arpa": true, "db.default.svc.cluster.local": true,
		"example.com": false, "notlocalhost.com": false, "db.notcluster.local": false, "myhome.arpa": false, "localhost.example.com": false,
	} {
		if got := registry.MustParseDomain(name).NotJudged(); got != want {
			t.Errorf("NotJudged(%s): got %v; want %v", name, got, want)
		}
	}
	if !(registry.Domain{}).NotJudged() {
		t.Error("NotJudged of the root: got false; want true")
	}
}

func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"", "a.example:80/x", "[2001:db8::1]:443", "192.0.2.1", "1.2.3", "::1%x", "/", "a/.well-known/acme-challenge/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := registry.ParseHost(s)
		if err != nil {
			return
		}
		if again, err := registry.ParseHost(h.String()); err != nil || again.Name != h.Name || again.Addr != h.Addr {
			t.Errorf("ParseHost(%q) again: got %q, %v; want the same", h, again, err)
		}
		if h.Name != (registry.Domain{}) && h.Addr.IsValid() {
			t.Errorf("ParseHost(%q): got both a name and an address", s)
		}
	})
}
