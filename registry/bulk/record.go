package bulk

import (
	"encoding/binary"
	"net/netip"

	"github.com/icpgate/icpgate/registry"
)

// encode makes the record of r and its piece for a chunk, which is valid until
// the next call. The piece: its length, the key's name (domain, or address of
// kind ip), number and names of further domains, the names of entity and site,
// and what the flags announce.
func (s *store) encode(r *row) (record, []byte) {
	f := &r.f
	rec := record{
		number: f.Site.Number, updated: f.UpdatedAt.Unix(), filed: f.Site.FiledAt.Unix(),
		line: r.line, seq: r.seq, file: r.file, states: r.states,
		kind: uint8(f.Site.Kind), status: uint8(f.Status), nature: uint8(f.Entity.Nature),
	}
	b := appendText(s.scratch[:0], keyName(f))
	b = binary.AppendUvarint(b, uint64(len(f.Site.Domains)))
	for i := 1; i < len(f.Site.Domains); i++ {
		b = appendText(b, f.Site.Domains[i].String())
	}
	b = appendText(appendText(b, f.Entity.Name), f.Site.Name)
	if f.Entity.Number != f.Site.Number.Entity() {
		rec.flags |= ownEntity
		b = appendText(b, f.Entity.Number.String())
	}
	b = s.encodeAccesses(b, r, &rec)
	if f.Restricted {
		rec.flags |= isRestricted
	}
	if len(f.Covers) > 0 || f.FiledAddr.IsValid() {
		rec.flags |= hasRest
		b = appendText(b, string(addrBytes(f.FiledAddr)))
		b = binary.AppendUvarint(b, uint64(len(f.Covers)))
		for _, host := range f.Covers {
			b = appendText(b, host)
		}
	}
	s.scratch = b
	return rec, s.frame(b)
}

// frame puts the length in front of b.
func (s *store) frame(b []byte) []byte {
	n := len(b)
	b = binary.AppendUvarint(b, uint64(n))
	head := len(b) - n
	var length [binary.MaxVarintLen64]byte
	copy(length[:], b[n:])
	copy(b[head:], b[:n])
	copy(b, length[:head])
	s.scratch = b
	return b
}

func (s *store) encodeAccesses(b []byte, r *row, rec *record) []byte {
	f := &r.f
	if f.AccessesKnown {
		rec.flags |= accessesKnown
	}
	if r.none {
		rec.flags |= isNoneRow
	}
	switch len(f.Accesses) {
	case 0:
	case 1:
		a := f.Accesses[0]
		rec.flags |= hasOne
		rec.provider, rec.access, rec.at = s.providerIndex(a.Provider), uint8(a.Status), a.At
	default:
		rec.flags |= hasMore
		b = binary.AppendUvarint(b, uint64(len(f.Accesses)))
		for _, a := range f.Accesses {
			b = binary.AppendUvarint(b, uint64(s.providerIndex(a.Provider)))
			b = binary.AppendVarint(append(b, uint8(a.Status)), a.At)
		}
	}
	return b
}

// decode is the reverse of encode.
func (s *store) decode(rec *record, r *row) {
	framed := s.text(rec)
	_, used := binary.Uvarint(framed)
	c := cursor{s: string(framed[used:])}
	*r = row{
		states: rec.states, none: rec.flags&isNoneRow != 0,
		file: rec.file, line: rec.line, seq: rec.seq,
	}
	f := &r.f
	f.Site.Number, f.Site.Kind, f.Site.FiledAt = rec.number, registry.Kind(rec.kind), unixTime(rec.filed)
	f.UpdatedAt, f.Status, f.Restricted = unixTime(rec.updated), registry.Status(rec.status), rec.flags&isRestricted != 0
	decodeNames(&c, f)
	f.Entity.Nature, f.Entity.Number = registry.Nature(rec.nature), rec.number.Entity()
	if rec.flags&ownEntity != 0 {
		f.Entity.Number, _, _ = registry.ParseNumber(c.text()) // written by String
	}
	s.decodeAccesses(&c, rec, f)
	if rec.flags&hasRest == 0 {
		return
	}
	f.FiledAddr = addrOf(c.text())
	for n := c.uvarint(); n > 0; n-- {
		f.Covers = append(f.Covers, c.text())
	}
}

func decodeNames(c *cursor, f *registry.Filing) {
	key, n := c.text(), c.uvarint()
	if f.Site.Kind == registry.KindIP {
		f.Addr, _ = netip.ParseAddr(key)
	}
	if n > 0 {
		f.Site.Domains = make([]registry.Domain, n)
		for i := range f.Site.Domains {
			if i > 0 {
				key = c.text()
			}
			f.Site.Domains[i], _ = registry.ParseDomain(key) // canonical already
		}
	}
	f.Entity.Name, f.Site.Name = c.text(), c.text()
}

func (s *store) decodeAccesses(c *cursor, rec *record, f *registry.Filing) {
	f.AccessesKnown = rec.flags&accessesKnown != 0
	switch {
	case rec.flags&hasOne != 0:
		f.Accesses = []registry.Access{{Provider: s.providers[rec.provider], Status: registry.AccessStatus(rec.access), At: rec.at}}
	case rec.flags&hasMore != 0:
		f.Accesses = make([]registry.Access, c.uvarint())
		for i := range f.Accesses {
			a := &f.Accesses[i]
			a.Provider, a.Status, a.At = s.providers[c.uvarint()], registry.AccessStatus(c.byte()), c.varint()
		}
	}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func addrOf(s string) netip.Addr {
	var a netip.Addr
	_ = a.UnmarshalBinary([]byte(s)) // written by MarshalBinary
	return a
}

// cursor reads what encode wrote, and nothing else.
type cursor struct{ s string }

func (c *cursor) uvarint() uint64 {
	var x uint64
	for shift := 0; ; shift += 7 {
		b := c.byte()
		x |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return x
		}
	}
}

func (c *cursor) varint() int64 {
	u := c.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (c *cursor) byte() byte {
	b := c.s[0]
	c.s = c.s[1:]
	return b
}

func (c *cursor) text() string {
	n := c.uvarint()
	t := c.s[:n]
	c.s = c.s[n:]
	return t
}
