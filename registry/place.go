package registry

// Place is where an address is, as far as the filing regime asks (中国内地 and
// the rest). The zero value is PlaceUnknown: a block needs proof that an
// address is in the mainland, so not knowing never blocks.
type Place uint8

// The places. Hong Kong, Macao and Taiwan are no part of the mainland: the
// regime treats a server there like one overseas.
const (
	PlaceUnknown Place = iota // public, but no source knows it
	PlaceNone                 // there is no address at all (DNS only)
	Mainland                  // 中国内地（大陆）
	HongKong                  // 中国香港
	Macao                     // 中国澳门
	Taiwan                    // 中国台湾
	Overseas                  // any other country
	Private                   // private, loopback, link-local, documentation …: not reachable from the public
)

var placeWords = words{"unknown", "none", "mainland", "hong-kong", "macao", "taiwan", "overseas", "private"}

// ParsePlace reads the word of a place, as String writes it.
func ParsePlace(s string) (Place, error) {
	i, err := placeWords.parse("place", s)
	return Place(i), err
}

// String returns the word of p, for example "hong-kong".
func (p Place) String() string { return placeWords.of(uint8(p)) }

// MarshalText writes the word of p.
func (p Place) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Place) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePlace(string(b))
	return err
}

// Outside reports whether p is known to be a public place outside the mainland.
func (p Place) Outside() bool {
	switch p {
	case HongKong, Macao, Taiwan, Overseas:
		return true
	}
	return false
}
