package place_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/phuslu/iploc"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/place"
)

// spread returns prefixes like those of a real list: n of them, of mixed length,
// in no order.
func spread(n int, v6 bool) (ps []netip.Prefix) {
	for i := range n {
		x := uint64(i+1) * 0x9e3779b97f4a7c15
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], x)
		if v6 {
			b[0] = 0x24 + b[0]&3
			ps = append(ps, netip.PrefixFrom(netip.AddrFrom16(b), 24+int(x%25)).Masked())
			continue
		}
		b[0] = 1 + b[0]%222
		ps = append(ps, netip.PrefixFrom(netip.AddrFrom4([4]byte(b[:])), 14+int(x%11)).Masked())
	}
	return ps
}

func benchTable(b *testing.B) *place.Table {
	var list, nets strings.Builder
	for _, p := range append(spread(8000, false), spread(5000, true)...) {
		fmt.Fprintln(&list, p)
	}
	seen := map[netip.Prefix]bool{}
	for i, p := range append(spread(900, false), spread(100, true)...) {
		if !seen[p] {
			fmt.Fprintf(&nets, "%s aliyun %s cn-beijing\n", p, []string{"ecs", "cdn", "slb"}[i%3])
		}
		seen[p] = true
	}
	return table(b, sources(b, nets.String(), list.String()))
}

func BenchmarkLookup(b *testing.B) {
	probes := func(v6 bool, n int) (as []netip.Addr) {
		for i, p := range spread(n, v6) {
			if i%2 == 0 { // half of them listed
				as = append(as, p.Addr().Next())
				continue
			}
			x := p.Addr().AsSlice()
			x[1] ^= 0x55
			a, _ := netip.AddrFromSlice(x)
			as = append(as, a)
		}
		return as
	}
	merged, builtin := benchTable(b), table(b, place.Sources{})
	for _, v6 := range []bool{false, true} {
		family := "v4"
		if v6 {
			family = "v6"
		}
		as := probes(v6, 4096)
		run := func(name string, f func(netip.Addr)) {
			b.Run(name+"/"+family, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					f(as[i%len(as)])
				}
			})
		}
		run("iploc", func(a netip.Addr) { iploc.IPCountry(a) })
		run("builtin", func(a netip.Addr) { builtin.Lookup(a) })
		run("files", func(a netip.Addr) { merged.Lookup(a) })
	}
}

func BenchmarkSuffixes(b *testing.B) {
	for _, name := range []string{"www.example.com.w.kunlunsl.com", "b.cos.ap-beijing.myqcloud.com", "www.example.com"} {
		d := registry.MustParseDomain(name)
		b.Run(name, func(b *testing.B) {
			s := place.BuiltinSuffixes()
			b.ReportAllocs()
			for b.Loop() {
				s.Lookup(d)
			}
		})
	}
}

func BenchmarkTable(b *testing.B) {
	for b.Loop() {
		benchTable(b)
	}
}
