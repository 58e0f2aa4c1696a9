package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/icpgate/icpgate/registry"
)

// AppendChange appends c in the bytes that feeds carry. Its filings are as a
// snapshot keeps them: names of individuals, FiledAddr and what times have beyond
// a second are left out, so that a registry changed by what ParseChange makes of
// it is the same to the byte. The revision is not in it. A change that Check
// refuses must not be given.
//
// The bytes are: u8 kind and, 8 more, that an address is changed; the packed name,
// or the 16 bytes of the address; and, for filings, a uvarint of how many, and for
// each a uvarint length and its covering and record without the name, as in the
// snapshot file.
func AppendChange(b []byte, c *registry.Change) []byte {
	b = append(b, byte(c.Kind)|flag(c.Addr.IsValid())*groupAddr)
	switch {
	case c.Kind == registry.ChangeNothing:
		return b
	case c.Addr.IsValid():
		b = append(b, packedAddr(c.Addr)...)
	default:
		b = appendName(b, c.Name.String())
	}
	if c.Kind != registry.ChangeFilings {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(c.Filings)))
	var one []byte
	for i := range c.Filings {
		f := &c.Filings[i]
		covering := coveringOf(f)
		one = appendFacts(appendProto(one[:0], &covering), f, first(f, c.Name))
		b = append(binary.AppendUvarint(b, uint64(len(one))), one...)
	}
	return b
}

// ParseChange reads what AppendChange wrote as part of a revision; b is all of
// it. The change has passed Check and shares no memory with b.
func ParseChange(b []byte, rev registry.Revision) (registry.Change, error) {
	r := reader{b: b}
	head := r.u8()
	c := registry.Change{Revision: rev, Kind: registry.ChangeKind(head &^ groupAddr)}
	if c.Kind != registry.ChangeNothing {
		c.Name, c.Addr = r.filed(head&groupAddr != 0)
	}
	if c.Kind == registry.ChangeFilings {
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			c.Filings = append(c.Filings, r.filing(c.Name, c.Addr))
		}
	}
	switch {
	case r.bad:
		return registry.Change{}, errors.New("a change ends early or holds what cannot be; fetch it again")
	case len(r.b) > 0:
		return registry.Change{}, fmt.Errorf("a change of %d bytes has %d more after its end; fetch it again", len(b)-len(r.b), len(r.b))
	}
	if err := check(&c); err != nil {
		return registry.Change{}, err
	}
	return c, nil
}

// filing takes one of AppendChange's filings.
func (r *reader) filing(name registry.Domain, addr netip.Addr) registry.Filing {
	one := reader{b: r.bytes(int(min(r.uvarint(), maxRecord)))}
	covering := one.proto()
	rec := one.facts(&covering)
	rec.Domain, rec.Addr = name, addr
	r.bad = r.bad || one.bad || len(one.b) > 0
	return rec.filing()
}
