package registry_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/icpgate/icpgate/registry"
)

// TestIsCanonicalTwin puts every byte at every place of names of every length.
func TestIsCanonicalTwin(t *testing.T) {
	agree := func(name string) {
		if got, want := registry.IsCanonical(name), registry.IsCanonicalSlow(name); got != want {
			t.Errorf("%q: got canonical %v; want %v", name, got, want)
		}
	}
	for n := range 72 {
		for _, name := range []string{strings.Repeat("a", n), strings.Repeat("a.", n)[:n], strings.Repeat("abc-5.", n)[:n]} {
			agree(name)
			for at := range name {
				for c := range 256 {
					agree(name[:at] + string([]byte{byte(c)}) + name[at+1:])
				}
				agree(name[:at] + ".." + name[at+1:])
			}
		}
	}
}

func FuzzIsCanonical(f *testing.F) {
	for _, s := range []string{"", "a", "example.com", "a..b.example", ".example.com", "example.com.", "www.example.123", "a_b.r3---sn-abc.example", "\xffxample.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := registry.IsCanonical(s), registry.IsCanonicalSlow(s); got != want {
			t.Errorf("%q: got canonical %v; want %v", s, got, want)
		}
	})
}

// TestLowerConcurrently: names of any case come out as themselves whatever others
// are read at the same time.
func TestLowerConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			for range 20_000 {
				want := make([]byte, 1+r.IntN(9))
				for i := range want {
					want[i] = "abc-.0"[r.IntN(6)]
				}
				mixed := []byte(string(want) + ".example")
				for i, c := range mixed {
					if c >= 'a' && r.IntN(2) == 0 {
						mixed[i] = c - 'a' + 'A'
					}
				}
				d, err := registry.ParseDomain(string(mixed))
				low := strings.ToLower(string(mixed))
				if ok := registry.IsCanonicalSlow(low); ok != (err == nil) || ok && d.String() != low {
					t.Errorf("ParseDomain(%q): got %q, %v", mixed, d, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestReadingAllocatesNothing: a usual name as a dns.Question, an SNI and a Host
// header have it, also with the case mixed, costs no memory.
func TestReadingAllocatesNothing(t *testing.T) {
	for _, s := range []string{
		"www.example.com", "www.example.com.", "wWw.eXaMple.cOm.", "a.cn.", "WWW.A.CN", "_dmarc.mail.shop.example.com.cn.",
		strings.Repeat("long-label-", 5) + "." + strings.Repeat("of-a-name-", 6) + ".example.com",
	} {
		want := registry.MustParseDomain(s)
		for kind, read := range map[string]func() (registry.Domain, error){
			"question": func() (registry.Domain, error) { return registry.ParseDNSName(s) },
			"SNI":      func() (registry.Domain, error) { return registry.ParseDomain(s) },
			"Host": func() (registry.Domain, error) {
				h, err := registry.ParseHost(s)
				return h.Name, err
			},
		} {
			n := testing.AllocsPerRun(100, func() {
				if d, err := read(); d != want || err != nil {
					t.Errorf("%s %q: got %q, %v; want %q", kind, s, d, err, want)
				}
			})
			if n != 0 {
				t.Errorf("%s %q: got %v allocations; want none", kind, s, n)
			}
		}
	}
}

// TestHostWithPortAllocatesNothing: nor does the port of a Host header.
func TestHostWithPortAllocatesNothing(t *testing.T) {
	for _, s := range []string{"www.example.com:8443", "WWW.example.com.:80"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = registry.ParseHost(s) }); n != 0 {
			t.Errorf("%q: got %v allocations; want none", s, n)
		}
	}
}
