package index

import (
	"encoding/binary"

	"github.com/icpgate/icpgate/registry"
)

// protos intern what the coverings of filings have in common whatever the name:
// kind, status, restriction and accesses.
type protos struct {
	ids  map[string]uint32
	keys []string            // of list, by which filings of one name are ordered
	list []registry.Covering // Filed and Inherited are not set
	buf  []byte
}

// coveringOf is what a filing's coverings are made of; its accesses are the
// filing's own.
func coveringOf(f *registry.Filing) registry.Covering {
	return registry.Covering{
		Kind: f.Site.Kind, Status: f.Status, Restricted: f.Restricted,
		AccessesKnown: f.AccessesKnown, Accesses: sortedAccesses(f.Accesses),
	}
}

func (p *protos) of(f *registry.Filing) uint32 {
	c := coveringOf(f)
	return p.intern(&c)
}

func (p *protos) intern(c *registry.Covering) uint32 {
	p.buf = appendProto(p.buf[:0], c)
	if id, ok := p.ids[string(p.buf)]; ok {
		return id
	}
	if p.ids == nil {
		p.ids = map[string]uint32{}
	}
	id, key := uint32(len(p.list)), string(p.buf)
	r := reader{b: p.buf} // which copies, for the filing may be part of a whole import file
	p.ids[key] = id
	p.keys = append(p.keys, key)
	p.list = append(p.list, r.proto())
	return id
}

// appendProto encodes what protos intern. No encoding is the beginning of another.
func appendProto(b []byte, c *registry.Covering) []byte {
	b = append(b, byte(c.Kind), byte(c.Status), flag(c.Restricted)|flag(c.AccessesKnown)<<1)
	b = binary.AppendUvarint(b, uint64(len(c.Accesses)))
	for _, a := range c.Accesses {
		b = append(appendString(b, string(a.Provider)), byte(a.Status))
		b = binary.AppendVarint(b, decidingTime(a))
	}
	return b
}

// proto takes what appendProto wrote.
func (r *reader) proto() (c registry.Covering) {
	c.Kind, c.Status = registry.Kind(r.u8()), registry.Status(r.u8())
	flags := r.u8()
	c.Restricted, c.AccessesKnown = flags&1 != 0, flags&2 != 0
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		a := registry.Access{Provider: registry.ProviderID(r.string()), Status: registry.AccessStatus(r.u8())}
		a.At = r.varint()
		c.Accesses = append(c.Accesses, a)
	}
	return c
}

// decidingTime is At where a decision asks for it, else 0: the day of an active
// access would make nearly every filing's accesses a set of their own. Records
// keep it.
func decidingTime(a registry.Access) int64 {
	if a.Status == registry.AccessReviewed {
		return a.At
	}
	return 0
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
