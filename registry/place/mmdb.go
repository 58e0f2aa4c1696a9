package place

import (
	"fmt"
	"io"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/icpgate/icpgate/registry"
)

// maxMMDBNetworks bounds how much of a damaged tree is walked: 10 s of it. The
// largest published databases, of cities, have some 10 million networks, the IPv4
// ones of which are walked again below each of four alias prefixes.
const maxMMDBNetworks = 1 << 27

// ParseMMDB reads a country database in the MaxMind DB format. The country
// stands in country.iso_code, or in one of the other places that databases use:
// country_code, country or the record itself as a plain code, and last
// registered_country.iso_code. A database without countries, or without the
// mainland, is refused. It keeps nothing of what it read: the file may be
// replaced at any time.
func ParseMMDB(name string, r io.Reader) (*List, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	l, err := parseMMDB(data, maxMMDBNetworks)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

func parseMMDB(data []byte, most int) (*List, error) {
	db, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("not a usable MaxMind DB: %w", err)
	}
	if v := db.Metadata.IPVersion; v != 4 && v != 6 {
		return nil, fmt.Errorf("not a usable MaxMind DB: it says IP version %d; expect 4 or 6", v)
	}
	var l List
	places := mmdbPlaces{}
	var runs joiner
	mainland, n := 0, 0
	// Networks without data and aliases of IPv4 are walked too, since they have to
	// be counted: else a tree whose nodes lead to each other keeps us here for ever.
	for result := range db.Networks(maxminddb.IncludeNetworksWithoutData(), maxminddb.IncludeAliasedNetworks()) {
		if n++; n > most {
			return nil, fmt.Errorf("more than %d networks; the file is damaged", most)
		}
		p, err := places.of(result)
		if err != nil {
			return nil, err
		}
		if p == registry.Mainland {
			mainland++
		}
		if at := result.Prefix(); p != registry.PlaceUnknown && !carrier(at) {
			runs.add(at, p)
		}
	}
	if mainland == 0 {
		return nil, fmt.Errorf("database type %q holds no network in country CN; expect a database of countries", show(db.Metadata.DatabaseType))
	}
	for _, run := range runs {
		l.prefixes.Insert(run.prefix, run.place)
	}
	l.mapTop()
	return &l, nil
}

// mapTop gives IPv4 the place of the IPv6 prefix around ::/96, if there is one:
// in such a tree IPv4 addresses are looked up below it.
func (l *List) mapTop() {
	p, ok := l.prefixes.LookupPrefix(netip.PrefixFrom(netip.IPv6Unspecified(), 96))
	all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if _, own := l.prefixes.Get(all); ok && !own {
		l.prefixes.Insert(all, p)
	}
}

// mmdbPlaces remembers the place of every record, by its offset: there are a few
// hundred records and up to millions of networks.
type mmdbPlaces map[uintptr]registry.Place

func (m mmdbPlaces) of(r maxminddb.Result) (registry.Place, error) {
	if err := r.Err(); err != nil {
		return registry.PlaceUnknown, fmt.Errorf("damaged tree: %w", err)
	}
	if !r.Found() {
		return registry.PlaceUnknown, nil
	}
	if p, ok := m[r.Offset()]; ok {
		return p, nil
	}
	code, err := mmdbCountry(r)
	if err != nil {
		return registry.PlaceUnknown, fmt.Errorf("record of %s: %w", r.Prefix(), err)
	}
	p := placeOfCountry(code)
	m[r.Offset()] = p
	return p, nil
}

// mmdbCountry finds the country code of a record, "" if it has none.
func mmdbCountry(r maxminddb.Result) (string, error) {
	var record struct {
		Country           any `maxminddb:"country"`
		CountryCode       any `maxminddb:"country_code"`
		RegisteredCountry any `maxminddb:"registered_country"`
	}
	if err := r.Decode(&record); err != nil {
		var plain string
		if r.Decode(&plain) != nil {
			return "", err
		}
		return countryCode(plain), nil
	}
	for _, v := range []any{record.Country, record.CountryCode, record.RegisteredCountry} {
		if m, ok := v.(map[string]any); ok {
			v = m["iso_code"]
		}
		if s, ok := v.(string); ok && countryCode(s) != "" {
			return countryCode(s), nil
		}
	}
	return "", nil
}

// joiner merges neighbouring halves of one place into the prefix around them, as
// a tree's networks come by in order: a database of cities shrinks to one of
// countries. It holds what remains; the zero value is ready for use.
type joiner []joinable

type joinable struct {
	prefix netip.Prefix
	place  registry.Place
}

func (j *joiner) add(p netip.Prefix, place registry.Place) {
	next, stack := joinable{p, place}, *j
	for len(stack) > 0 {
		around, ok := stack[len(stack)-1].join(next)
		if !ok {
			break
		}
		next, stack = around, stack[:len(stack)-1]
	}
	*j = append(stack, next)
}

// join returns the prefix of which a and b are the halves.
func (a joinable) join(b joinable) (joinable, bool) {
	bits := a.prefix.Bits()
	if a.place != b.place || bits != b.prefix.Bits() || bits == 0 || a.prefix == b.prefix {
		return joinable{}, false
	}
	up := netip.PrefixFrom(a.prefix.Addr(), bits-1).Masked()
	return joinable{up, a.place}, up.Contains(b.prefix.Addr())
}
