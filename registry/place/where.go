package place

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"github.com/icpgate/icpgate/registry"
)

// Where is what is known of an address. The zero value is nothing:
// PlaceUnknown, an unknown owner, an unknown product. It is a value.
type Where struct {
	Place    registry.Place
	Provider registry.ProviderID // "" is an unknown owner
	Product  registry.Product
	Region   string // as the networks file names it, lower case; "" is unknown
	// OriginPull: the address is in the provider's back-to-origin ranges, so a
	// request from it is a CDN fetching from the origin.
	OriginPull bool
}

// Table answers where addresses are. It is immutable and safe for concurrent
// use. The zero Table knows only what an address carries, and no place.
type Table struct {
	nets     bart.Table[uint32] // every prefix a source or a registry lists → entries
	entries  []entry
	unlisted entry
	nat64    []netip.Prefix // configured ones, longest first
	confirm  int
	warnings []string
}

// entry is the answer for all addresses of one prefix. Entries are interned, so
// that a look-up allocates nothing.
type entry struct {
	where Where
	ask   ask
}

// ask is what the built-in table still has to say about an entry.
type ask uint8

const (
	askNothing ask = iota // where is the answer
	askPlace              // no other source knows the place
	askOutside            // known to be outside the mainland: Hong Kong, Macao, Taiwan or elsewhere?
	askConfirm            // the mainland, if the built-in table agrees
)

// Lookup tells where a is; nothing for the zero Addr. It allocates nothing.
func (t *Table) Lookup(a netip.Addr) Where {
	if !a.IsValid() {
		return Where{}
	}
	v := t.carried(a)
	w := t.at(v)
	if w.Place == registry.Mainland || a.Is4() {
		return w
	}
	if behind, ok := tunnelled(v); ok {
		if b := t.at(behind); b.Place == registry.Mainland {
			return b
		}
	}
	if a = a.WithZone(""); localNAT64.Contains(a) {
		return t.translated(a, w)
	}
	return w
}

// translated completes w, which is where an address of localNAT64 leads by one reading:
// how the network behind cuts its prefix is not known, so the mainland by any
// reading is the mainland.
func (t *Table) translated(a netip.Addr, w Where) Where {
	if _, ok := t.configured(a); ok {
		return w
	}
	b := a.As16()
	for _, bits := range localNAT64Bits {
		if r := t.at(embedded(&b, bits)); r.Place == registry.Mainland {
			return r
		}
	}
	return w
}

// at tells where a is, which carries nothing.
func (t *Table) at(a netip.Addr) Where {
	e := &t.unlisted
	if i, ok := t.nets.Lookup(a); ok {
		e = &t.entries[i]
	}
	if e.ask == askNothing {
		return e.where
	}
	return t.askBuiltin(e, a)
}

// askBuiltin completes an entry by the built-in table.
func (t *Table) askBuiltin(e *entry, a netip.Addr) Where {
	w, p := e.where, builtinPlace(a)
	switch {
	case e.ask == askOutside && !p.Outside():
		w.Place = registry.Overseas
	case e.ask == askPlace && p == registry.Mainland && t.confirm > 1, e.ask == askConfirm && p != registry.Mainland:
		w.Place = registry.PlaceUnknown
	default:
		w.Place = p
	}
	return w
}

// Warnings tell an operator what in the files has no effect, one sentence each;
// nil if all has.
func (t *Table) Warnings() []string { return t.warnings }
