package bulk

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// unpacker is the reverse of a packer; for one goroutine.
type unpacker struct {
	providers []registry.ProviderID
	domains   []registry.Domain // to cut slices from
	accesses  []registry.Access
}

// lot is how many domains or accesses are made at once.
const lot = 256

// cut takes n elements from list.
func cut[T any](list *[]T, n int) []T {
	if len(*list) < n {
		*list = make([]T, max(n, lot))
	}
	part := (*list)[:n:n]
	*list = (*list)[n:]
	return part
}

// unpack fills r, which is empty, from a packed row. Its strings are parts of it.
func (u *unpacker) unpack(packed string, r *row) {
	r.line, r.seq = leUint32(packed[4:]), leUint32(packed[8:])
	r.file = uint16(packed[12]) | uint16(packed[13])<<8
	c := cursor{packed[headSize:]}
	c.uvarint() // the length
	f := &r.f
	key := c.text()
	flags := c.uvarint()
	r.states, r.none = facts(flags&0xffff), flags&uint64(isNoneRow) != 0
	f.AccessesKnown, f.Restricted = flags&uint64(accessesKnown) != 0, flags&uint64(isRestricted) != 0
	f.Site.Kind, f.Status, f.Entity.Nature = registry.Kind(c.byte()), registry.Status(c.byte()), registry.Nature(c.byte())
	f.UpdatedAt, f.Site.FiledAt = c.time(), c.time()
	u.names(&c, key, f)
	f.Entity.Name, f.Site.Name = c.text(), c.text()
	if f.Entity.Number = f.Site.Number.Entity(); flags&uint64(ownEntity) != 0 {
		_ = f.Entity.Number.UnmarshalBinary([]byte(c.text())) // written by MarshalBinary
	}
	u.accessList(&c, f)
	if flags&uint64(hasRest) == 0 {
		return
	}
	f.FiledAddr = addrOf(c.text())
	for n := c.uvarint(); n > 0; n-- {
		f.Covers = append(f.Covers, c.text())
	}
}

func leUint32(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// names takes number and names from the key and what follows.
func (u *unpacker) names(c *cursor, key string, f *registry.Filing) {
	name := ""
	if key[0] == 0 {
		name = key[2:]
	} else {
		_ = f.Site.Number.UnmarshalBinary([]byte(key)) // written by AppendBinary
	}
	if f.Site.Kind == registry.KindIP {
		if name == "" {
			name = c.text()
		}
		f.Addr, _ = netip.ParseAddr(name)
		return
	}
	f.Site.Domains = cut(&u.domains, int(c.uvarint()))
	for i := range f.Site.Domains {
		if i > 0 || name == "" {
			name = c.text()
		}
		f.Site.Domains[i], _ = registry.ParseDomain(name) // canonical already
	}
}

func (u *unpacker) accessList(c *cursor, f *registry.Filing) {
	n := int(c.uvarint())
	if n == 0 {
		return
	}
	f.Accesses = cut(&u.accesses, n)
	for i := range f.Accesses {
		a := &f.Accesses[i]
		a.Provider, a.Status = u.providers[c.uvarint()], registry.AccessStatus(c.byte())
		a.At, _ = c.seconds()
	}
}

func addrOf(s string) netip.Addr {
	var a netip.Addr
	_ = a.UnmarshalBinary([]byte(s)) // written by MarshalBinary
	return a
}

func unixTime(sec int64) time.Time { return time.Unix(sec, 0).In(china) }

// cursor reads what a packer wrote, and nothing else.
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

// seconds takes what appendSeconds wrote.
func (c *cursor) seconds() (sec int64, known bool) {
	v := c.uvarint()
	switch {
	case v == 0:
		return 0, false
	case v&1 == 1:
		return (unzigzag((v-1)/2)+middleDay)*day - chinaEast, true
	}
	return unzigzag((v - 2) / 2), true
}

func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

func (c *cursor) time() time.Time {
	sec, known := c.seconds()
	if !known {
		return time.Time{}
	}
	return unixTime(sec)
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

// keyIn returns the key of a packed row.
func keyIn(packed []byte) []byte {
	b := packed[headSize:]
	_, used := binary.Uvarint(b)
	n, more := binary.Uvarint(b[used:])
	return b[used+more:][:n]
}
