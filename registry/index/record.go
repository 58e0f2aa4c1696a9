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

// The bits of a record's first byte.
const (
	recordAddr       = 1 << iota // filed by address
	recordRestricted             // access is restricted
	recordKnown                  // the accesses are known
	recordEntity                 // an entity number of its own follows the number
	recordFiled                  // FiledAt is known
	recordUpdated                // UpdatedAt is known
)

// appendRecord encodes what a Record shows of f under one of its domains, or
// under its address if filed is zero. Equal filings have equal encodings; they
// also order the filings of a name.
func appendRecord(b []byte, f *registry.Filing, filed registry.Domain) []byte {
	entity := f.Entity.Number
	if entity == f.Site.Number.Entity() {
		entity = registry.Number{}
	}
	b = append(b, byte(f.Site.Kind), byte(f.Status), recordFlags(f, filed, entity), byte(f.Entity.Nature))
	if filed.IsZero() {
		a := plain(f.Addr).As16()
		b = append(b, a[:]...)
	} else {
		b = appendString(b, filed.String())
	}
	b = appendString(b, f.Site.Number.String())
	if !entity.IsZero() {
		b = appendString(b, entity.String())
	}
	b = appendString(b, publicName(f.Entity))
	b = appendString(b, f.Site.Name)
	for _, t := range []time.Time{f.Site.FiledAt, f.UpdatedAt} {
		if !t.IsZero() {
			b = binary.AppendVarint(b, t.Unix())
		}
	}
	accesses := sortedAccesses(f.Accesses)
	b = binary.AppendUvarint(b, uint64(len(accesses)))
	for _, a := range accesses {
		b = appendString(b, string(a.Provider))
		b = append(b, byte(a.Status))
		b = binary.AppendVarint(b, a.At)
	}
	// Nobody reads the hosts back: they only put filings that differ in nothing
	// else into an order that does not depend on the order of Add.
	for _, host := range f.Covers {
		b = appendString(b, host)
	}
	return b
}

func recordFlags(f *registry.Filing, filed registry.Domain, entity registry.Number) byte {
	var flags byte
	set := func(bit byte, yes bool) {
		if yes {
			flags |= bit
		}
	}
	set(recordAddr, filed.IsZero())
	set(recordRestricted, f.Restricted)
	set(recordKnown, f.AccessesKnown)
	set(recordEntity, !entity.IsZero())
	set(recordFiled, !f.Site.FiledAt.IsZero())
	set(recordUpdated, !f.UpdatedAt.IsZero())
	return flags
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

// parseRecord decodes what appendRecord wrote; false if b is none.
func parseRecord(b []byte) (rec Record, ok bool) {
	r := reader{b: b}
	rec.Kind, rec.Status = registry.Kind(r.u8()), registry.Status(r.u8())
	flags := r.u8()
	rec.Nature = registry.Nature(r.u8())
	rec.Restricted, rec.AccessesKnown = flags&recordRestricted != 0, flags&recordKnown != 0
	if flags&recordAddr != 0 {
		rec.Addr = plain(netip.AddrFrom16([16]byte(r.bytes(16))))
	} else {
		r.text(&rec.Domain)
	}
	r.text(&rec.Number)
	rec.EntityNumber = rec.Number.Entity()
	if flags&recordEntity != 0 {
		r.text(&rec.EntityNumber)
	}
	rec.EntityName, rec.SiteName = r.string(), r.string()
	rec.FiledAt = r.time(flags&recordFiled != 0)
	rec.UpdatedAt = r.time(flags&recordUpdated != 0)
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		a := registry.Access{Provider: registry.ProviderID(r.string()), Status: registry.AccessStatus(r.u8())}
		a.At = r.varint()
		rec.Accesses = append(rec.Accesses, a)
	}
	return rec, !r.bad
}

// filedName reads the name out of an encoded record, without the rest.
func filedName(b []byte) string {
	r := reader{b: b}
	if head := r.bytes(4); head[2]&recordAddr != 0 {
		return ""
	}
	return r.string()
}

// Records returns what the snapshot keeps of the filings of Cover(d).Filings,
// in the same order; nil on a nil Index. It allocates and reads parts of the
// snapshot that decisions leave alone.
func (x *Index) Records(d registry.Domain) []Record {
	if x == nil {
		return nil
	}
	var recs []Record
	for n := d.Labels(); n >= 2; n-- {
		filed := d.Last(n)
		for _, rec := range x.recordsOf(x.key.name(filed.String())) {
			// The whole name stands in the record: here nothing rests on a fingerprint.
			if rec.Domain == filed {
				recs = append(recs, rec)
			}
		}
	}
	return recs
}

// RecordsAddr is Records for CoverAddr.
func (x *Index) RecordsAddr(a netip.Addr) []Record {
	if x == nil || !a.IsValid() {
		return nil
	}
	a = plain(a)
	recs := x.recordsOf(x.key.addr(a))
	return slices.DeleteFunc(recs, func(r Record) bool { return r.Addr != a })
}

// recordsOf reads the records of the slot in which a sum lies.
func (x *Index) recordsOf(s sum) []Record {
	node, slot := x.table.find(s)
	if node == 0 {
		return nil
	}
	at := x.recordIndex[slot/slots*8:]
	from, to := binary.LittleEndian.Uint64(at), binary.LittleEndian.Uint64(at[8:])
	if from > to || to > uint64(len(x.records)) {
		return nil
	}
	r := reader{b: x.records[from:to]}
	for len(r.b) > 0 && !r.bad {
		which, group := r.u8(), r.bytes(int(min(r.uvarint(), maxGroup)))
		if uint64(which) == slot%slots {
			return parseGroup(group)
		}
	}
	return nil
}

// maxGroup bounds the records of one name; it only keeps a length of a hostile
// file from overflowing an int.
const maxGroup = 1 << 40

func parseGroup(b []byte) (recs []Record) {
	for r := (reader{b: b}); len(r.b) > 0; {
		rec, ok := parseRecord(r.bytes(int(min(r.uvarint(), maxGroup))))
		if r.bad || !ok {
			return recs
		}
		recs = append(recs, rec)
	}
	return recs
}
