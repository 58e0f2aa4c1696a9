package place

import (
	"net/netip"
	"strings"
)

// Carried shows what an address is judged by, without configured prefixes.
func Carried(a netip.Addr) netip.Addr { return new(Table).carried(a) }

// ParseMMDBUpTo bounds the networks that are walked.
func ParseMMDBUpTo(data []byte, most int) (*List, error) { return parseMMDB(data, most) }

// PlaceIn asks the list alone.
func (l *List) PlaceIn(a netip.Addr) string {
	p, _ := l.prefixes.Lookup(a)
	return p.String()
}

// ParseSuffixesAlone reads suffixes without the built-in ones.
func ParseSuffixesAlone(text string) (*Suffixes, error) {
	lines, err := parseSuffixLines("suffixes", strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	return compileSuffixes(lines), nil
}

// BuiltinSuffixText is the embedded file.
var BuiltinSuffixText = builtinSuffixText

// PlaceOfCountry and CountryCode read what MMDB records hold.
func PlaceOfCountry(code string) string { return placeOfCountry(countryCode(code)).String() }
