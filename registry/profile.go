package registry

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
)

// Demand is what a provider demands of a site on one of its products. The zero
// value is DemandAccess, the stricter one.
type Demand uint8

// The demands. What needs nothing, overseas acceleration, follows from the
// address and is no demand.
const (
	DemandAccess Demand = iota // a filing, and an access with this provider
	DemandFiling               // a filing with whomever
)

var demandWords = words{"access", "filing"}

// String returns the word of d.
func (d Demand) String() string { return demandWords.of(uint8(d)) }

// Profile is one provider's product profile: a demand for every product, and
// another where the origin stands on the provider's own servers. The zero value
// demands an access of everything. A Profile in use must not be changed.
type Profile struct {
	// By product; of 256 so that no product, not even one that does not exist, lies
	// outside.
	demand     [256]Demand
	originHere [256]Demand
}

// Demand returns what is demanded at a product with its origin there.
func (p *Profile) Demand(product Product, origin Origin) Demand {
	if origin == OriginHere {
		return p.originHere[product]
	}
	return p.demand[product]
}

func (p *Profile) set(product Product, demand, originHere Demand) {
	p.demand[product], p.originHere[product] = demand, originHere
}

// Profiles are the product profiles of all providers: data, not code. The nil
// pointer stands for the built-in ones. A set is immutable once it is made and
// then safe for concurrent use.
type Profiles struct {
	other      *Profile // any provider that is not listed
	byProvider map[ProviderID]*Profile
}

// edgeProducts only pass a site's traffic on or keep its files: a filing with
// whomever is enough. Source: A; B§2.5–2.9.
var edgeProducts = []Product{OSS, CDN, WAF, AntiDDoS, Mail}

// huaweiOriginProducts ask for access where the origin is Huawei's own.
// Source: HW, 备案条件咨询 and 备案域名咨询 (P6).
var huaweiOriginProducts = []Product{OSS, WAF, AntiDDoS}

// builtinProfiles is the table of the rule book: Aliyun's documents, which
// Tencent's agree with and which serve for all others, and Huawei's.
var builtinProfiles = func() *Profiles {
	var common Profile
	for _, p := range edgeProducts {
		common.set(p, DemandFiling, DemandFiling)
	}
	huawei := common
	for _, p := range huaweiOriginProducts {
		huawei.set(p, DemandFiling, DemandAccess)
	}
	return &Profiles{other: &common, byProvider: map[ProviderID]*Profile{Aliyun: &common, Tencent: &common, Huawei: &huawei}}
}()

// For returns the profile of a provider; that of any other provider if it has
// none of its own. It never returns nil.
func (ps *Profiles) For(id ProviderID) *Profile {
	if ps == nil {
		ps = builtinProfiles
	}
	if p, ok := ps.byProvider[id]; ok {
		return p
	}
	return ps.other
}

// ParseProfiles reads product profiles, one a line, and lays them over the
// built-in ones:
//
//	PROVIDER|* PRODUCT access|filing [origin-here=access|filing]
//
// "#" begins a comment; "*" is every provider without a line of its own for the
// product. Errors name file (name) and line.
func ParseProfiles(name string, r io.Reader) (*Profiles, error) {
	ps := &Profiles{other: builtinProfiles.For(""), byProvider: maps.Clone(builtinProfiles.byProvider)}
	type key struct {
		id ProviderID
		p  Product
	}
	seen := map[key]int{}
	lines := bufio.NewScanner(r)
	n := 1
	for ; lines.Scan(); n++ {
		text, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		l, err := parseProfileLine(fields)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if first, dup := seen[key{l.id, l.product}]; dup {
			return nil, fmt.Errorf("%s:%d: %s %s was given in line %d already", name, n, fields[0], fields[1], first)
		}
		seen[key{l.id, l.product}] = n
		ps.apply(l, func(id ProviderID) bool { _, own := seen[key{id, l.product}]; return own })
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("%s:%d: the line is longer than %d bytes; is this a text file?", name, n, bufio.MaxScanTokenSize)
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return ps, nil
}

type profileLine struct {
	id                 ProviderID // "" for "*"
	product            Product
	demand, originHere Demand
}

func parseProfileLine(fields []string) (l profileLine, err error) {
	if len(fields) < 3 || len(fields) > 4 {
		return l, fmt.Errorf("%d fields; expect PROVIDER|* PRODUCT access|filing [origin-here=access|filing]", len(fields))
	}
	if fields[0] != "*" {
		if l.id, err = ParseProviderID(fields[0]); err != nil {
			return l, err
		}
	}
	if l.product, err = ParseProduct(fields[1]); err != nil {
		return l, err
	}
	if l.demand, err = parseDemand(fields[2]); err != nil {
		return l, err
	}
	l.originHere = l.demand
	if len(fields) == 4 {
		value, ok := strings.CutPrefix(fields[3], "origin-here=")
		if !ok {
			return l, fmt.Errorf("unexpected %q; expect origin-here=access or origin-here=filing", fields[3])
		}
		l.originHere, err = parseDemand(value)
	}
	return l, err
}

func parseDemand(s string) (Demand, error) {
	i, err := demandWords.parse("demand", s)
	return Demand(i), err
}

// apply writes a line into copies of the profiles it concerns; own tells which
// providers have a line of their own for the product.
func (ps *Profiles) apply(l profileLine, own func(ProviderID) bool) {
	if l.id != "" {
		p := *ps.For(l.id)
		p.set(l.product, l.demand, l.originHere)
		ps.byProvider[l.id] = &p
		return
	}
	other := *ps.other
	other.set(l.product, l.demand, l.originHere)
	ps.other = &other
	for id, old := range ps.byProvider {
		if own(id) {
			continue
		}
		p := *old
		p.set(l.product, l.demand, l.originHere)
		ps.byProvider[id] = &p
	}
}
