package bulk

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"

	"github.com/icpgate/icpgate/registry"
)

// A packed row is what the store holds of a row: headSize bytes that the store
// fills, the length of the rest, and that:
//
//	key          its length; the site number in binary, or 0, the kind and the name of a filing without a number
//	facts        what it states, and rowFlags
//	kind, status, nature
//	times        of the update and of the filing
//	names        how many and those that the key does not have; of kind ip the address
//	entity, site names
//	number       of the entity, in binary, if it does not follow from the site's
//	accesses     how many; provider, status and time of each
//	rest         the server's address and covers, if there are any
//
// Equal rows have equal bytes behind the head. Rows fill a multiple of rowAlign
// bytes, so that a place in many gigabytes fits into 32 bits.
const (
	headSize = 16
	rowAlign = 8
)

// rowFlags stand above the facts.
type rowFlags uint32

const (
	isNoneRow rowFlags = 1 << (16 + iota)
	accessesKnown
	isRestricted
	ownEntity // the entity's number does not follow from the site's
	hasRest   // covers or addresses
)

// packer packs rows; for one goroutine. Its providers are those of the store.
type packer struct {
	providers *providers
	known     map[registry.ProviderID]uint32
	buf       []byte
}

// pack appends the packed row and returns its key, which is valid until the next
// call.
func (p *packer) pack(b []byte, r *row) (packed, key []byte) {
	f := &r.f
	var buf [binary.MaxVarintLen32]byte
	p.buf = appendKey(p.buf[:0], f)
	n := len(p.buf)
	p.buf = p.rest(p.buf, r)
	keyLen := binary.PutUvarint(buf[:], uint64(n))
	b = append(b, make([]byte, headSize)...)
	b = binary.AppendUvarint(b, uint64(keyLen+len(p.buf)))
	b = append(append(b, buf[:keyLen]...), p.buf...)
	for len(b)%rowAlign != 0 {
		b = append(b, 0)
	}
	return b, p.buf[:n]
}

// rest appends what follows the key.
func (p *packer) rest(b []byte, r *row) []byte {
	f := &r.f
	flags := flagsOf(r)
	b = binary.AppendUvarint(b, uint64(flags)|uint64(r.states))
	b = append(b, byte(f.Site.Kind), byte(f.Status), byte(f.Entity.Nature))
	b = appendSeconds(b, f.UpdatedAt.Unix(), !f.UpdatedAt.IsZero())
	b = appendSeconds(b, f.Site.FiledAt.Unix(), !f.Site.FiledAt.IsZero())
	b = appendNames(b, f)
	b = appendText(appendText(b, f.Entity.Name), f.Site.Name)
	if flags&ownEntity != 0 {
		number, _ := f.Entity.Number.MarshalBinary() // never fails
		b = appendText(b, string(number))
	}
	b = p.accesses(b, f.Accesses)
	if flags&hasRest != 0 {
		b = appendText(b, string(addrBytes(f.FiledAddr)))
		b = binary.AppendUvarint(b, uint64(len(f.Covers)))
		for _, host := range f.Covers {
			b = appendText(b, host)
		}
	}
	return b
}

func flagsOf(r *row) (flags rowFlags) {
	f := &r.f
	for _, flag := range [...]struct {
		is  bool
		bit rowFlags
	}{
		{r.none, isNoneRow}, {f.AccessesKnown, accessesKnown}, {f.Restricted, isRestricted},
		{f.Entity.Number != f.Site.Number.Entity(), ownEntity},
		{len(f.Covers) > 0 || f.FiledAddr.IsValid(), hasRest},
	} {
		if flag.is {
			flags |= flag.bit
		}
	}
	return flags
}

// appendNames appends the domains, or the address, that the key does not have.
func appendNames(b []byte, f *registry.Filing) []byte {
	inKey := f.Site.Number.IsZero()
	if f.Site.Kind == registry.KindIP {
		if !inKey {
			b = appendText(b, f.Addr.String())
		}
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(f.Site.Domains)))
	for i, d := range f.Site.Domains {
		if i > 0 || !inKey {
			b = appendText(b, d.String())
		}
	}
	return b
}

func (p *packer) accesses(b []byte, as []registry.Access) []byte {
	b = binary.AppendUvarint(b, uint64(len(as)))
	for _, a := range as {
		i, ok := p.known[a.Provider]
		if !ok {
			i = p.providers.index(a.Provider)
			if p.known == nil {
				p.known = map[registry.ProviderID]uint32{}
			}
			if len(p.known) < maxInterned {
				p.known[p.providers.at(i)] = i
			}
		}
		b = append(binary.AppendUvarint(b, uint64(i)), byte(a.Status))
		b = appendSeconds(b, a.At, a.At != 0)
	}
	return b
}

// providers are interned for all rows. Safe for concurrent use.
type providers struct {
	mu   sync.Mutex
	list []registry.ProviderID
	of   map[registry.ProviderID]uint32
}

func (p *providers) index(id registry.ProviderID) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.of[id]
	if !ok {
		i = uint32(len(p.list))
		id = registry.ProviderID(strings.Clone(string(id))) // not to keep a whole block alive
		p.list, p.of[id] = append(p.list, id), i
	}
	return i
}

func (p *providers) at(i uint32) registry.ProviderID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list[i]
}

// appendKey appends what rows of one filing have in common.
func appendKey(b []byte, f *registry.Filing) []byte {
	if n := f.Site.Number; !n.IsZero() {
		b, _ = n.AppendBinary(b) // never fails
		return b
	}
	return append(append(b, 0, byte(f.Site.Kind)), keyName(f)...)
}

// keyName is the name of a filing without a number.
func keyName(f *registry.Filing) string {
	if f.Site.Kind == registry.KindIP {
		return f.Addr.String()
	}
	return f.Site.Domains[0].String()
}

// Most times are days in China: these are counted from 2017 on, in the middle of
// those on which sites were filed, and take two bytes.
const (
	day       = 86400
	chinaEast = 8 * 3600
	middleDay = 17167 // 2017-01-01
)

// appendSeconds appends Unix seconds: 0 for unknown, odd numbers for days.
func appendSeconds(b []byte, seconds int64, known bool) []byte {
	if !known {
		return append(b, 0)
	}
	if local := seconds + chinaEast; local%day == 0 {
		return binary.AppendUvarint(b, 1+2*zigzag(local/day-middleDay))
	}
	return binary.AppendUvarint(b, 2+2*zigzag(seconds))
}

func zigzag(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func addrBytes(a netip.Addr) []byte {
	b, _ := a.MarshalBinary() // never fails
	return b
}
