package registry

import (
	"fmt"
	"time"
)

// Kind is what kind of service a filing is for. The zero value is KindSite.
type Kind uint8

// The kinds. Only a site's filing opens a website: apps, mini programs and
// quick apps are filed in a system of their own (HW, App备案咨询).
const (
	KindSite        Kind = iota // 网站
	KindApp                     // A: app
	KindMiniProgram             // X: 小程序
	KindQuickApp                // K: 快应用
	KindIP                      // a site without a domain, filed by its address at the authority
)

var kindWords = words{"site", "app", "mini-program", "quick-app", "ip"}

// ParseKind reads the word of a kind.
func ParseKind(s string) (Kind, error) {
	i, err := kindWords.parse("kind", s)
	return Kind(i), err
}

// String returns the word of k, for example "mini-program".
func (k Kind) String() string { return kindWords.of(uint8(k)) }

// MarshalText writes the word of k.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Kind) UnmarshalText(b []byte) (err error) {
	*k, err = ParseKind(string(b))
	return err
}

// App reports whether k is an app of any sort, whose filing covers no site.
func (k Kind) App() bool { return k == KindApp || k == KindMiniProgram || k == KindQuickApp }

// oneDomainPerSite is the day from which a site has one domain only.
// Source: B§5, rule book R60.
var oneDomainPerSite = time.Date(2019, 4, 22, 0, 0, 0, 0, time.FixedZone("CST", 8*3600))

// Site is one filed website, app, mini program or quick app (网站). The zero
// value is a website of which nothing is known.
type Site struct {
	Number Number // site number (网站备案号); zero where it is unknown
	Name   string
	Kind   Kind
	// Domains are the names it is filed under: one, or several for a site from
	// before 2019-04-22. None for KindIP.
	Domains []Domain
	FiledAt time.Time // zero where it is unknown
}

// Check reports why s cannot be: no domain, or several domains although it was
// filed on or after 2019-04-22. Several domains without a day of filing pass;
// the import warns of them.
func (s Site) Check() error {
	if s.Kind == KindIP {
		if len(s.Domains) > 0 {
			return fmt.Errorf("a filing of kind ip names an address, not %q", s.Domains[0])
		}
		return nil
	}
	if len(s.Domains) == 0 {
		return fmt.Errorf("no domain; a site is filed under one")
	}
	if len(s.Domains) > 1 && !s.FiledAt.IsZero() && !s.FiledAt.Before(oneDomainPerSite) {
		return fmt.Errorf("%d domains for a site filed on %s; since 2019-04-22 every site has one domain: file a site for each",
			len(s.Domains), s.FiledAt.Format(time.DateOnly))
	}
	return nil
}
