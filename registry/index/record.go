package index

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Record is what a snapshot keeps of one filing under one name for people to
// read: for explain and for notices. A decision never touches it. The zero
// value is no filing.
type Record struct {
	Domain       registry.Domain // the filed name; zero for KindIP
	Addr         netip.Addr      // the filed address of KindIP
	Number       registry.Number
	EntityNumber registry.Number
	// EntityName is empty for individuals: their names are personal data and are
	// never written into a snapshot.
	EntityName    string
	Nature        registry.Nature
	SiteName      string
	Kind          registry.Kind
	Status        registry.Status
	Restricted    bool
	FiledAt       time.Time // UTC, whole seconds; zero where it is unknown
	UpdatedAt     time.Time // the same
	Accesses      []registry.Access
	AccessesKnown bool
}

// The first byte of a record: nature in the low five bits, and these.
const (
	recordNature = 1<<5 - 1
	recordEntity = 1 << 5 // an entity number of its own follows the number
	recordTimes  = 1 << 6 // times of accesses follow
	recordMore   = 1 << 7 // a byte with the following bits follows, and what they tell of
)

// The bits of that byte.
const (
	moreCovers    = 1 << iota // hosts that the filing covers
	moreElsewhere             // filed under another name first, and counted there: that name
)

// appendRecord encodes a filing under one of its domains, or under its address if
// filed is zero: what its covering says, the name, and what a snapshot keeps
// beside these. Equal filings have equal encodings; they also order the filings
// of a name.
func appendRecord(b []byte, f *registry.Filing, filed registry.Domain) []byte {
	c := coveringOf(f)
	return appendItem(appendProto(b, &c), f, filed)
}

// appendItem is appendRecord without what the covering says.
func appendItem(b []byte, f *registry.Filing, filed registry.Domain) []byte {
	if filed.IsZero() {
		a := plain(f.Addr).As16()
		b = append(append(b, groupAddr), a[:]...)
	} else {
		b = appendName(append(b, 0), filed.String())
	}
	return appendFacts(b, f, first(f, filed))
}

// elsewhere reports whether a filing is counted under another name than filed.
func elsewhere(f *registry.Filing, filed registry.Domain) bool { return !first(f, filed).IsZero() }

// first is the name under which a filing is counted, unless that is filed.
func first(f *registry.Filing, filed registry.Domain) registry.Domain {
	if len(f.Site.Domains) == 0 || f.Site.Domains[0] == filed {
		return registry.Domain{}
	}
	return f.Site.Domains[0]
}

// appendFacts encodes what a record has beside its name and its covering; first
// is the name under which the filing is counted, if it is another.
func appendFacts(b []byte, f *registry.Filing, first registry.Domain) []byte {
	entity := f.Entity.Number
	if entity == f.Site.Number.Entity() {
		entity = registry.Number{}
	}
	accesses := sortedAccesses(f.Accesses)
	more := flag(len(f.Covers) > 0)*moreCovers | flag(!first.IsZero())*moreElsewhere
	b = appendNumber(append(b, recordHead(f, entity, accesses, more)), f.Site.Number)
	if !entity.IsZero() {
		b = appendNumber(b, entity)
	}
	name := publicName(f.Entity)
	b = appendString(b, name)
	if f.Site.Name == name {
		b = append(b, 0)
	} else {
		b = binary.AppendUvarint(b, 1+uint64(len(f.Site.Name)))
		b = append(b, f.Site.Name...)
	}
	b = appendTimes(b, f, accesses)
	if more != 0 {
		b = append(b, more)
	}
	if len(f.Covers) > 0 {
		b = binary.AppendUvarint(b, uint64(len(f.Covers)))
		for _, host := range f.Covers {
			b = appendString(b, host)
		}
	}
	if !first.IsZero() {
		b = appendName(b, first.String())
	}
	return b
}

func recordHead(f *registry.Filing, entity registry.Number, accesses []registry.Access, more byte) (head byte) {
	if f.Entity.Nature <= recordNature {
		head = byte(f.Entity.Nature)
	}
	if !entity.IsZero() {
		head |= recordEntity
	}
	if slices.ContainsFunc(accesses, timed) {
		head |= recordTimes
	}
	if more != 0 {
		head |= recordMore
	}
	return head
}

// timed reports whether the record has to keep the time of an access: it is
// known, and the covering does not have it.
func timed(a registry.Access) bool { return decidingTime(a) == 0 && a.At != 0 }

// appendTimes encodes the days of filing and of the last change, the latter
// after the former, and the times of accesses.
func appendTimes(b []byte, f *registry.Filing, accesses []registry.Access) []byte {
	b = appendTime(b, f.Site.FiledAt.Unix(), !f.Site.FiledAt.IsZero(), middle)
	from := int64(middle)
	if s := f.Site.FiledAt.Unix(); !f.Site.FiledAt.IsZero() && s < maxTime && s > -maxTime {
		from = s
	}
	b = appendTime(b, f.UpdatedAt.Unix(), !f.UpdatedAt.IsZero(), from)
	if slices.ContainsFunc(accesses, timed) {
		for _, a := range accesses {
			b = appendTime(b, a.At, timed(a), from)
		}
	}
	return b
}

// publicName is the entity's name unless it is a person's.
func publicName(e registry.Entity) string {
	if e.Nature == registry.Individual {
		return ""
	}
	return e.Name
}

// sortedAccesses orders by provider, of which a filing has one access each.
func sortedAccesses(as []registry.Access) []registry.Access {
	byProvider := func(a, b registry.Access) int { return strings.Compare(string(a.Provider), string(b.Provider)) }
	if slices.IsSortedFunc(as, byProvider) {
		return as
	}
	as = slices.Clone(as)
	slices.SortFunc(as, byProvider)
	return as
}

// plain is an address in the one form that is compared: 4-in-6 as IPv4, no zone.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// stored is a filing as a snapshot has it under one name.
type stored struct {
	Record
	covers []string
	first  registry.Domain // the name under which it is counted; zero: this one
}

// parseRecord decodes what appendRecord wrote; false if b is none.
func parseRecord(b []byte) (rec Record, ok bool) {
	r := reader{b: b}
	c := r.proto()
	addr := r.u8()&groupAddr != 0
	name, a := r.filed(addr)
	s := r.facts(&c)
	s.Domain, s.Addr = name, a
	return s.Record, !r.bad
}

// filed takes a name or an address.
func (r *reader) filed(addr bool) (registry.Domain, netip.Addr) {
	if addr {
		return registry.Domain{}, plain(netip.AddrFrom16([16]byte(r.bytes(16))))
	}
	return r.name(), netip.Addr{}
}

// facts takes what appendFacts wrote; c is the covering that belongs to it.
func (r *reader) facts(c *registry.Covering) (rec stored) {
	rec.Kind, rec.Status, rec.Restricted, rec.AccessesKnown = c.Kind, c.Status, c.Restricted, c.AccessesKnown
	head := r.u8()
	rec.Nature = registry.Nature(head & recordNature)
	rec.Number = r.number()
	rec.EntityNumber = rec.Number.Entity()
	if head&recordEntity != 0 {
		rec.EntityNumber = r.number()
	}
	rec.EntityName = r.string()
	rec.SiteName = rec.EntityName
	if n := r.uvarint(); n > 0 {
		rec.SiteName = string(r.bytes(int(min(n-1, maxGroup))))
	}
	filed, known := r.time(middle)
	rec.FiledAt = unixTime(filed, known)
	if !known {
		filed = middle
	}
	rec.UpdatedAt = unixTime(r.time(filed))
	rec.Accesses = append(rec.Accesses, c.Accesses...) // nil for none
	if head&recordTimes != 0 {
		for i := range rec.Accesses {
			if at, known := r.time(filed); known {
				rec.Accesses[i].At = at
			}
		}
	}
	if head&recordMore != 0 {
		r.more(&rec)
	}
	return rec
}

func (r *reader) more(rec *stored) {
	more := r.u8()
	if more&moreCovers != 0 {
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			rec.covers = append(rec.covers, r.string())
		}
	}
	if more&moreElsewhere != 0 {
		rec.first = r.name()
	}
}

func unixTime(seconds int64, known bool) time.Time {
	if !known {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// filing is the filing of the record, as far as the snapshot has it.
func (s *stored) filing() registry.Filing {
	f := registry.Filing{
		Site:   registry.Site{Number: s.Number, Name: s.SiteName, Kind: s.Kind, FiledAt: s.FiledAt},
		Entity: registry.Entity{Number: s.EntityNumber, Name: s.EntityName, Nature: s.Nature},
		Addr:   s.Addr, Status: s.Status, Restricted: s.Restricted,
		Accesses: s.Accesses, AccessesKnown: s.AccessesKnown, Covers: s.covers, UpdatedAt: s.UpdatedAt,
	}
	if !s.first.IsZero() {
		f.Site.Domains = append(f.Site.Domains, s.first)
	}
	if !s.Domain.IsZero() {
		f.Site.Domains = append(f.Site.Domains, s.Domain)
	}
	return f
}
