package registry_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"github.com/icpgate/icpgate/registry"
)

var label63 = strings.Repeat("a", 63)

// longest is a name of 253 bytes.
var longest = strings.Repeat(label63+".", 3) + strings.Repeat("b", 61)

func TestParseDomain(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"example.com", "example.com"},
		{"WWW.Example.COM", "www.example.com"},
		{"example.com.", "example.com"},
		{"example.com:80", "example.com"},
		{"example.com.:8443", "example.com"},
		{"example.com:", "example.com"},
		{"_dmarc.a_b.example.com", "_dmarc.a_b.example.com"},
		{"r3---sn-abc.example.com", "r3---sn-abc.example.com"},
		{"-a-.example.com", "-a-.example.com"},
		{"例子.公司.cn", "xn--fsqu00a.xn--55qx5d.cn"},
		{"ＷＷＷ.example.com", "www.example.com"},
		{"faß.de", "xn--fa-hia.de"},
		{"BÜCHER.example", "xn--bcher-kva.example"},
		{"xn--a.example.com", "xn--a.example.com"},
		{"XN--FSQU00A.cn", "xn--fsqu00a.cn"},
		{"a\u00ad\u200b\ufe00.com", "a.com"},
		{"localhost", "localhost"},
		{"1.2.3.4.example", "1.2.3.4.example"},
		{"0x7f.1.example.com", "0x7f.1.example.com"},
		{longest, longest},
		{longest + ".", longest},
	} {
		got, err := registry.ParseDomain(tt.in)
		if err != nil || got.String() != tt.want {
			t.Errorf("ParseDomain(%q): got %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestParseDomainRefuses(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", "is empty"},
		{".", "is empty"},
		{"..", "empty label"},
		{"example..com", "empty label"},
		{".example.com", "empty label"},
		{"example.com..", "empty label"},
		{"a b.example.com", `holds " "`},
		{"user@example.com", `holds "@"`},
		{"*.example.com", `holds "*"`},
		{`www\.example.com`, `holds "\\"`},
		{"www%2eexample.com", `holds "%"`},
		{"a\x00.example.com", `holds "\x00"`},
		{"[2001:db8::1]", "port is not a number"},
		{"example.com:http", "port is not a number"},
		{"example.com:65536", "port is not a number"},
		{"example.com:-1", "port is not a number"},
		{"example.com:80:80", `holds ":"`},
		{"192.0.2.1", "is an address"},
		{"192.0.2.1.", "is an address"},
		{"1.2", "is an address"},
		{"0x7f000001", "is an address"},
		{"example.0x", "is an address"},
		{"２.２.２.２", "is an address"},
		{"www。example.com", "dot after mapping"},
		{"\u00ad.com", "maps to nothing"},
		{"a\xffb.com", "not valid UTF-8"},
		{label63 + "a.com", "at most 63"},
		{longest + "b", "at most 253"},
		{strings.Repeat("例", 1000), "too long"},
	} {
		got, err := registry.ParseDomain(tt.in)
		if err == nil || !got.IsZero() || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseDomain(%q): got %q, %v; want an error with %q", tt.in, got, err, tt.want)
		}
	}
}

func TestDomainErrorIsShort(t *testing.T) {
	_, err := registry.ParseDomain(strings.Repeat("a.", 100_000))
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("a name of 200 kB: got an error of %d bytes; want a short one", len(err.Error()))
	}
}

func TestParseDNSName(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{".", ""},
		{"www.example.com.", "www.example.com"},
		{`\119ww.example.com.`, "www.example.com"},
		{`\w\w\w.example.com.`, "www.example.com"},
		{`\228\190\139\229\173\144.cn.`, "xn--fsqu00a.cn"},
		{"_acme-challenge.example.com.", "_acme-challenge.example.com"},
	} {
		got, err := registry.ParseDNSName(tt.in)
		if err != nil || got.String() != tt.want {
			t.Errorf("ParseDNSName(%q): got %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"", `www\.example.com.`, `www\046example.com.`, `\256.com.`, `a\`, `a\1`, `a\12`, `\228.cn.`, "example.com:80", `\000.com.`} {
		if got, err := registry.ParseDNSName(in); err == nil {
			t.Errorf("ParseDNSName(%q): got %q; want an error", in, got)
		}
	}
}

func TestDomainParts(t *testing.T) {
	d := registry.MustParseDomain("a.b.example.com")
	for n, want := range map[int]string{-1: "", 0: "", 1: "com", 2: "example.com", 3: "b.example.com", 4: "a.b.example.com", 5: "a.b.example.com"} {
		if got := d.Last(n).String(); got != want {
			t.Errorf("Last(%d): got %q; want %q", n, got, want)
		}
	}
	if got := d.Labels(); got != 4 {
		t.Errorf("Labels: got %d; want 4", got)
	}
	if got := d.First(); got != "a" {
		t.Errorf("First: got %q; want a", got)
	}
	if got := d.Parent().Parent().Parent().Parent(); !got.IsZero() {
		t.Errorf("the parent of a TLD: got %q; want none", got)
	}
	var zero registry.Domain
	if zero.Labels() != 0 || zero.First() != "" || !zero.Parent().IsZero() || zero.Within(d) || d.Within(zero) {
		t.Error("the zero Domain has labels, a parent or a place")
	}
	if got := registry.MustParseDomain("www.xn--fsqu00a.cn").Unicode(); got != "www.例子.cn" {
		t.Errorf("Unicode: got %q; want www.例子.cn", got)
	}
}

func TestWithoutService(t *testing.T) {
	for name, want := range map[string]string{
		"_8443._https.www.example.com": "www.example.com",
		"_dmarc.example.com":           "example.com",
		"_x.example":                   "_x.example",
		"_a._b._c":                     "_b._c",
		"www._x.example.com":           "www._x.example.com",
		"www.example.com":              "www.example.com",
		"_x":                           "_x",
	} {
		if got := registry.MustParseDomain(name).WithoutService().String(); got != want {
			t.Errorf("%s: got %s; want %s", name, got, want)
		}
	}
	if !(registry.Domain{}).WithoutService().IsZero() {
		t.Error("the zero Domain has become a name")
	}
}

func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		d, zone string
		want    bool
	}{
		{"example.com", "example.com", true},
		{"www.example.com", "example.com", true},
		{"notexample.com", "example.com", false},
		{"example.com", "www.example.com", false},
		{"example.com.cn", "example.com", false},
		{"com", "example.com", false},
	} {
		if got := registry.MustParseDomain(tt.d).Within(registry.MustParseDomain(tt.zone)); got != tt.want {
			t.Errorf("%s within %s: got %v; want %v", tt.d, tt.zone, got, tt.want)
		}
	}
}

func TestFileable(t *testing.T) {
	for name, want := range map[string]string{
		"example.com": "", "example.com.cn": "", "xn--fsqu00a.cn": "", "a.gov.cn": "", "shop.example.com": "", "example.unapproved-tld": "",
		"com": "public suffix", "com.cn": "public suffix", "gov.cn": "public suffix", "bj.cn": "public suffix",
		"xn--55qx5d.cn": "public suffix", "xn--zfr164b": "public suffix", "unapproved-tld": "public suffix",
		"a_b.com": "underscore", "-a.com": "hyphen at an end", "a-.com": "hyphen at an end", "b.-a.com": "hyphen at an end",
		"xn--a.com": "no valid A-label", "xn--.com": "hyphen at an end", "ab--c.com": "third and fourth place",
	} {
		err := registry.MustParseDomain(name).Fileable()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("Fileable(%s): got %v; want %q", name, err, want)
		}
	}
	if err := (registry.Domain{}).Fileable(); err == nil {
		t.Error("Fileable of the zero Domain: got nil; want an error")
	}
}

func TestDomainText(t *testing.T) {
	var d registry.Domain
	if err := d.UnmarshalText([]byte("WWW.example.com.")); err != nil || d.String() != "www.example.com" {
		t.Errorf("got %q, %v; want www.example.com", d, err)
	}
	if err := d.UnmarshalText(nil); err != nil || !d.IsZero() {
		t.Errorf("an empty text: got %q, %v; want the zero Domain", d, err)
	}
}

// slowParse is a twin of ParseDomain that splits first and asks idna for every
// label; it answers "" for what it refuses.
func slowParse(s string) string {
	if i := strings.LastIndex(s, ":"); i >= 0 {
		if strings.Trim(s[i+1:], "0123456789") != "" || len(s[i+1:]) > 5 || s[i+1:] > "65535" && len(s[i+1:]) == 5 {
			return ""
		}
		s = s[:i]
	}
	s = strings.TrimSuffix(s, ".")
	var labels []string
	for _, label := range strings.Split(s, ".") {
		ascii := strings.ToLower(label)
		if strings.Trim(ascii, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			var err error
			p := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.CheckHyphens(false), idna.BidiRule())
			if ascii, err = p.ToASCII(label); err != nil || !utf8.ValidString(label) {
				return ""
			}
			if ascii = strings.ToLower(ascii); strings.Trim(ascii, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
				return ""
			}
		}
		if len(ascii) < 1 || len(ascii) > 63 {
			return ""
		}
		labels = append(labels, ascii)
	}
	name, last := strings.Join(labels, "."), labels[len(labels)-1]
	number := strings.Trim(last, "0123456789") == ""
	if hex, ok := strings.CutPrefix(last, "0x"); ok && strings.Trim(hex, "0123456789abcdef") == "" {
		number = true
	}
	if len(name) > 253 || number {
		return ""
	}
	return name
}

func FuzzParseDomain(f *testing.F) {
	for _, s := range []string{"example.com", "WWW.Example.COM.:8443", "例子.公司.cn", "faß.de", "a_b.-c-.d", "xn--a.com", "www。a.com", "1.2.3.4", "a..b", `a\.b`, "\u00ad.com", "x:1:2", longest} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := registry.ParseDomain(s)
		if got, want := d.String(), slowParse(s); got != want && len(s) <= 4*253 {
			t.Errorf("ParseDomain(%q): got %q, %v; the twin has %q", s, got, err, want)
		}
		if err != nil {
			return
		}
		if again, err := registry.ParseDomain(d.String()); err != nil || again != d {
			t.Errorf("ParseDomain(%q) again: got %q, %v; want the same", d, again, err)
		}
		if dns, err := registry.ParseDNSName(d.String() + "."); err != nil || dns != d {
			t.Errorf("ParseDNSName(%q): got %q, %v; want the same name", d.String()+".", dns, err)
		}
		for n := range d.Labels() + 1 {
			if last := d.Last(n); n > 0 && (last.Labels() != n || !d.Within(last)) {
				t.Errorf("Last(%d) of %q: got %q", n, d, last)
			}
		}
	})
}

// wireLabels are the labels of a name as miekg/dns puts them on the wire, nil if
// it cannot.
func wireLabels(name string) [][]byte {
	buf := make([]byte, 300)
	n, err := dns.PackDomainName(dns.Fqdn(name), buf, 0, nil, false)
	if err != nil {
		return nil
	}
	var labels [][]byte
	for i := 0; i < n && buf[i] > 0; i += 1 + int(buf[i]) {
		labels = append(labels, buf[i+1:i+1+int(buf[i])])
	}
	return labels
}

// FuzzParseDNSName: never another name than the one on the wire.
func FuzzParseDNSName(f *testing.F) {
	for _, s := range []string{"www.example.com.", `www\.example.com.`, `\228\190\139.cn.`, `\119ww.a.`, ".", `a\`, "a..b.", `\256.a.`, "_a.b."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := registry.ParseDNSName(s)
		if err != nil || d.IsZero() {
			return
		}
		labels := wireLabels(s)
		if labels == nil {
			return // longer on the wire than a name may be before mapping made it short
		}
		if len(labels) != d.Labels() {
			t.Fatalf("ParseDNSName(%q): got %q; on the wire it has %d labels", s, d, len(labels))
		}
		for i, part := range strings.Split(d.String(), ".") {
			wire := string(labels[i])
			if isLDH(wire) && part != strings.ToLower(wire) {
				t.Errorf("ParseDNSName(%q): label %d is %q; on the wire it is %q", s, i, part, wire)
			}
			if !isLDH(wire) && slowParse(wire+".x") != part+".x" {
				t.Errorf("ParseDNSName(%q): label %d is %q; want what %q maps to", s, i, part, wire)
			}
		}
	})
}

func isLDH(s string) bool {
	return strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_") == "" && utf8.ValidString(s)
}
