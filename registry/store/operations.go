package store

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// touch notes the names or the address of a filing that becomes another one.
func (t *tx) touch(f *registry.Filing) {
	if f.Site.Kind == registry.KindIP {
		if t.addrs == nil {
			t.addrs = map[netip.Addr]bool{}
		}
		t.addrs[f.Addr] = true
		return
	}
	if t.names == nil {
		t.names = map[registry.Domain]bool{}
	}
	for _, d := range f.Site.Domains {
		t.names[d] = true
	}
}

// set notes an entry that becomes another one.
func (t *tx) set(e registry.Entry) {
	if t.entries == nil {
		t.entries = map[registry.Entry]registry.Entry{}
	}
	t.entries[registry.Entry{List: e.List, Key: e.Key}] = e
}

// operations writes what the transaction changes as the log keeps it, in an order
// that does not depend on maps.
func (t *tx) operations() (body []byte, n int, err error) {
	changes := t.changes
	more, err := t.refiled()
	if err != nil {
		return nil, 0, err
	}
	changes = append(changes, more...)
	listed, err := t.relisted()
	if err != nil {
		return nil, 0, err
	}
	changes = append(changes, listed...)
	var e encoder
	for i := range changes {
		changes[i].Revision = registry.Revision{Epoch: t.at.Epoch, Rev: t.rev()}
		if err := changes[i].Check(); err != nil {
			return nil, 0, err
		}
		e.change(&changes[i])
	}
	entries := slices.SortedFunc(maps.Values(t.entries), func(a, b registry.Entry) int {
		return cmp.Or(cmp.Compare(a.List, b.List), strings.Compare(a.Key, b.Key))
	})
	for i := range entries {
		e.entry(&entries[i])
	}
	return e.b, len(changes) + len(entries), nil
}

// refiled returns all filings of the names and addresses that were touched.
func (t *tx) refiled() (changes []registry.Change, err error) {
	names := slices.SortedFunc(maps.Keys(t.names), func(a, b registry.Domain) int { return strings.Compare(a.String(), b.String()) })
	under, err := t.s.filingsUnder(t.ctx, t, names)
	if err != nil {
		return nil, err
	}
	for _, d := range names {
		changes = append(changes, registry.Change{Kind: registry.ChangeFilings, Name: d, Filings: publicOf(under[d])})
	}
	addrs := slices.SortedFunc(maps.Keys(t.addrs), netip.Addr.Compare)
	at, err := t.s.filingsAt(t.ctx, t, addrs)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		changes = append(changes, registry.Change{Kind: registry.ChangeFilings, Addr: a, Filings: publicOf(at[a])})
	}
	return changes, nil
}

func publicOf(list []*record) (filings []registry.Filing) {
	for _, r := range list {
		filings = append(filings, r.public())
	}
	return filings
}

// filingsUnder loads the filings of names, in the order of their keys.
func (s *Store) filingsUnder(ctx context.Context, q querier, names []registry.Domain) (map[registry.Domain][]*record, error) {
	values := make([]any, len(names))
	for i, d := range names {
		values[i] = d.String()
	}
	list, err := s.loadSites(ctx, q, "s.id IN (SELECT site_id FROM domain WHERE name IN (%s))", values)
	if err != nil {
		return nil, err
	}
	under := make(map[registry.Domain][]*record, len(names))
	for _, d := range names {
		under[d] = nil
	}
	for _, r := range unique(list) {
		for _, d := range r.f.Site.Domains {
			if _, asked := under[d]; asked {
				under[d] = append(under[d], r)
			}
		}
	}
	return under, nil
}

// filingsAt loads the filings of addresses, in the order of their keys.
func (s *Store) filingsAt(ctx context.Context, q querier, addrs []netip.Addr) (map[netip.Addr][]*record, error) {
	values := make([]any, len(addrs))
	for i, a := range addrs {
		values[i] = addrText(a)
	}
	list, err := s.loadSites(ctx, q, "s.addr IN (%s)", values)
	if err != nil {
		return nil, err
	}
	at := map[netip.Addr][]*record{}
	for _, r := range unique(list) {
		at[r.f.Addr] = append(at[r.f.Addr], r)
	}
	return at, nil
}

// unique sorts records by their keys; one that was found by two names is there once.
func unique(list []*record) []*record {
	slices.SortFunc(list, func(a, b *record) int { return strings.Compare(a.key, b.key) })
	return slices.CompactFunc(list, func(a, b *record) bool { return a.id == b.id })
}
