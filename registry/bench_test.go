package registry_test

import (
	"testing"

	"github.com/icpgate/icpgate/registry"
)

func BenchmarkParseDomain(b *testing.B) {
	for name, s := range map[string]string{
		"canonical": "www.shop.example.com",
		"upper":     "wWw.Shop.eXample.com",
		"port":      "www.shop.example.com:8443",
		"unicode":   "www.例子.公司.cn",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := registry.ParseDomain(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseDNSName(b *testing.B) {
	for name, s := range map[string]string{
		"canonical": "www.shop.example.com.",
		"upper":     "wWw.Shop.eXample.com.",
		"escaped":   `www.s\104op.example.com.`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := registry.ParseDNSName(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseHost(b *testing.B) {
	for name, s := range map[string]string{
		"canonical": "www.shop.example.com",
		"upper":     "wWw.Shop.eXample.com",
		"port":      "www.shop.example.com:8443",
		"address":   "192.0.2.1:80",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := registry.ParseHost(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecideOne(b *testing.B) {
	active := registry.Coverage{Loaded: true, Filings: []registry.Covering{{
		Filed: 2, AccessesKnown: true, Accesses: []registry.Access{{Provider: "aliyun"}},
	}}}
	q := registry.Query{
		Host: registry.Host{Name: registry.MustParseDomain("www.shop.example.com")}, Place: registry.Mainland,
		Provider: "aliyun", AddressProvider: "aliyun", Product: registry.ECS,
		Profile: (*registry.Profiles)(nil).For("aliyun"),
	}
	for name, c := range map[string]registry.Coverage{"accessed": active, "unfiled": {Loaded: true}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := registry.Decide(q, c); v.Reason == registry.Undecided {
					b.Fatal(v)
				}
			}
		})
	}
}

func BenchmarkFileable(b *testing.B) {
	for _, name := range []string{"example.com", "example.cn", "example.com.cn"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			d := registry.MustParseDomain(name)
			for b.Loop() {
				if err := d.Fileable(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
