package index

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Options are the settings of a Builder. The zero value is usable.
type Options struct {
	// Key is the secret of the fingerprints; it belongs to the epoch, so that all
	// snapshots of one epoch have the same. Zero: a random one.
	Key [16]byte
	// Revision is that of the registry that the filings are taken from. With a
	// zero Epoch: number 1 of a new epoch, made at MadeAt.
	Revision registry.Revision
	// MadeAt is when the snapshot was made, for people to read; kept to the
	// millisecond. Zero: not told.
	MadeAt time.Time
}

// Builder collects filings and makes an Index of them. The snapshot is the same
// to the byte for the same filings, blacklist and Options, in whatever order
// they came. NewBuilder makes one; it is for one goroutine and builds once.
type Builder struct {
	options   Options
	key       key
	err       error // why the random key could not be made
	built     bool
	parts     [256]part  // by the first byte of h0
	arenas    [256]arena // the encoded records of the parts
	protos    protos
	specials  map[sum]*special
	slab      []special // to make the next of them in
	texts     texts
	gov       []govFiling
	standing  map[registry.Domain]bool // government registrable names under which a site's filing stands
	govNames  map[registry.Domain]bool // the names that such filings are made under
	blacklist map[registry.Domain]struct{}
	tops      bool
	filings   int
	scratch   []byte
}

// entry is a filing under one name or address.
type entry struct {
	sum
	record ref
	proto  uint32 // what its Covering has beside the labels
	gov    uint32 // 1 + index into Builder.gov, 0 for a name that is no government's
}

// govFiling is what Scope asks of a filing under a government suffix.
type govFiling struct {
	filing registry.Filing // Covers only
	filed  registry.Domain
}

// special is a name of which more must be known than its own filings: one with
// something below, one on the blacklist, a host that a government's filing
// singles out.
type special struct {
	name        registry.Domain
	below       bool
	blacklisted bool
	own         []entry // filings of the name itself, once they are sorted
}

// NewBuilder begins a snapshot.
func NewBuilder(o Options) *Builder {
	b := &Builder{
		options:   o,
		specials:  map[sum]*special{},
		standing:  map[registry.Domain]bool{},
		govNames:  map[registry.Domain]bool{},
		blacklist: map[registry.Domain]struct{}{},
	}
	var random [8]byte
	if b.options.Key == [16]byte{} {
		_, b.err = rand.Read(b.options.Key[:])
	}
	if b.options.Revision.Epoch == (registry.Epoch{}) {
		_, err := rand.Read(random[:])
		b.err = cmp.Or(b.err, err)
		b.options.Revision.Epoch.Random = binary.LittleEndian.Uint64(random[:])
		if !o.MadeAt.IsZero() {
			b.options.Revision.Epoch.Made = o.MadeAt.UnixMilli()
		}
		b.options.Revision.Rev = max(1, o.Revision.Rev)
	}
	b.key = keyOf(b.options.Key)
	return b
}

// Add takes a filing in, under each of its domains or under its address. What
// Check refuses is an error, and nothing of it is added. Add keeps no reference
// to slices of f.
func (b *Builder) Add(f registry.Filing) error {
	if b.built {
		return errors.New("the snapshot is built already; make a new Builder")
	}
	if err := f.Check(); err != nil {
		return err
	}
	if err := checkSize(&f); err != nil {
		return err
	}
	b.filings++
	proto := b.protos.of(&f)
	if f.Site.Kind == registry.KindIP {
		b.enter(&f, registry.Domain{}, entry{sum: b.key.addr(plain(f.Addr)), proto: proto})
		return nil
	}
	for i, d := range f.Site.Domains {
		if slices.Contains(f.Site.Domains[:i], d) {
			continue
		}
		e := entry{sum: b.key.name(d.String()), proto: proto}
		b.mark(d)
		if d.IsGov() {
			e.gov = b.addGov(&f, d)
		}
		b.enter(&f, d, e)
	}
	return nil
}

// checkSize refuses what no snapshot can hold, before anything of f is added.
func checkSize(f *registry.Filing) error {
	// Name, numbers, days and lengths together take less than a kilobyte.
	n := 1024 + len(f.Entity.Name) + len(f.Site.Name)
	for _, a := range f.Accesses {
		n += len(a.Provider) + 32
		if a.Status > registry.AccessCancelled {
			return fmt.Errorf("the filing %s has an access of status %d, which there is not", f.Site.Number, a.Status)
		}
	}
	for _, host := range f.Covers {
		n += len(host) + 8
	}
	switch {
	case n > maxRecord:
		return fmt.Errorf("the filing %s takes %d bytes; a snapshot keeps at most %d of one", f.Site.Number, n, maxRecord)
	case f.Site.Kind > registry.KindIP || f.Status > registry.StatusCancelled:
		return fmt.Errorf("the filing %s is of kind %d and status %d, which there is not", f.Site.Number, f.Site.Kind, f.Status)
	}
	return nil
}

// enter files the encoded record and the entry that leads to it.
func (b *Builder) enter(f *registry.Filing, filed registry.Domain, e entry) {
	b.scratch = appendItem(b.scratch[:0], f, filed)
	e.record = b.arenas[e.h0>>56].add(b.scratch)
	b.parts[e.h0>>56].add(e)
}

// mark notes all names above d as having something below.
func (b *Builder) mark(d registry.Domain) {
	b.key.walk(d.String(), 2, func(s sum, level int, whole bool) bool {
		if whole {
			return false
		}
		sp := b.specials[s]
		if sp == nil {
			sp = b.single(d.Last(level))
		}
		sp.below = true
		return true
	})
}

// slabSize: what lives as long as the Builder is made in lots, or each of them
// would hold a page of what its caller has long forgotten.
const slabSize = 64

// texts copies strings into few large ones.
type texts struct{ b *strings.Builder }

// textsSize is how large those are.
const textsSize = 1 << 13

func (t *texts) clone(s string) string {
	if t.b == nil || t.b.Cap()-t.b.Len() < len(s) {
		t.b = new(strings.Builder)
		t.b.Grow(max(textsSize, len(s)))
	}
	t.b.WriteString(s)
	return t.b.String()[t.b.Len()-len(s):]
}

// domain copies a name, which may be part of a longer string or of a whole
// import file.
func (t *texts) domain(d registry.Domain) registry.Domain { return canonical(t.clone(d.String())) }

// single makes d a special name.
func (b *Builder) single(d registry.Domain) *special {
	s := b.key.name(d.String())
	sp := b.specials[s]
	if sp == nil {
		if len(b.slab) == cap(b.slab) {
			b.slab = make([]special, 0, slabSize)
		}
		b.slab = append(b.slab, special{name: b.texts.domain(d)})
		sp = &b.slab[len(b.slab)-1]
		b.specials[s] = sp
	}
	return sp
}

// addGov notes the names that a filing under a government suffix singles out.
func (b *Builder) addGov(f *registry.Filing, filed registry.Domain) uint32 {
	if f.Site.Kind == registry.KindSite && f.Status.Stands() {
		own := b.texts.domain(filed)
		b.standing[own.GovRegistrable()] = true
		b.govNames[own] = true
	}
	g := govFiling{filed: b.texts.domain(filed)}
	for _, host := range f.Covers {
		g.filing.Covers = append(g.filing.Covers, b.texts.clone(host))
	}
	b.gov = append(b.gov, g)
	if !g.coversAll() {
		for _, host := range g.hosts() {
			b.single(host)
			b.mark(host)
		}
	}
	return uint32(len(b.gov))
}

// newGovFiling keeps the strings of f.
func newGovFiling(f *registry.Filing, filed registry.Domain) (g govFiling) {
	g.filed, g.filing.Covers = filed, f.Covers
	return g
}

// inherits reports whether name lies below the filing without being covered;
// false for nil.
func (g *govFiling) inherits(name registry.Domain) bool {
	return g != nil && g.filing.Scope(g.filed, name) == registry.ScopeInherited
}

// uneven is inherits for a name that nobody singled out.
func (g *govFiling) uneven() bool { return g != nil && !g.coversAll() }

// coversAll reports whether the filing is no unit's and covers every name below.
func (g *govFiling) coversAll() bool { return slices.Contains(g.filing.Covers, "*") }

// hosts are the names below the filed one that it covers. What Covers means is
// registry's to say: candidates are tried on Scope.
func (g *govFiling) hosts() (hosts []registry.Domain) {
	for _, c := range append([]string{"www"}, g.filing.Covers...) {
		for _, text := range []string{c + "." + g.filed.String(), strings.TrimSuffix(c, ".")} {
			d, err := registry.ParseDomain(text)
			if err == nil && d != g.filed && g.filing.Scope(g.filed, d) == registry.ScopeCovers {
				hosts = append(hosts, d)
			}
		}
	}
	return hosts
}

// Blacklist puts a name and all below it on the blacklist. It need not be filed.
// The zero Domain is ignored.
func (b *Builder) Blacklist(d registry.Domain) {
	if d.IsZero() || b.built {
		return
	}
	b.blacklist[d] = struct{}{}
	sp := b.single(d)
	sp.blacklisted = true
	if d.Labels() == 1 {
		// The walk goes on below a TLD in any case: a cut of 1 is not worth a rule.
		b.tops, sp.below = true, true
		return
	}
	b.mark(d)
}

// maxRecord bounds the encoding of one filing under one name.
const maxRecord = 1 << 16

// part holds entries in pieces: what one slice would need to grow is too much for
// most of the memory that there is.
type part struct{ pieces [][]entry }

// pieceSize makes pieces of 16 KB, once there is more than a few.
const (
	pieceSize  = 512
	firstPiece = 16
)

func (p *part) add(e entry) {
	n := len(p.pieces)
	switch {
	case n == 0:
		p.pieces = append(p.pieces, make([]entry, 0, firstPiece))
		n++
	case len(p.pieces[n-1]) == cap(p.pieces[n-1]):
		p.pieces = append(p.pieces, make([]entry, 0, pieceSize))
		n++
	}
	p.pieces[n-1] = append(p.pieces[n-1], e)
}

// appendTo copies all entries to the end of list.
func (p *part) appendTo(list []entry) []entry {
	for _, piece := range p.pieces {
		list = append(list, piece...)
	}
	return list
}

// set replaces the entries by as many others.
func (p *part) set(list []entry) {
	for _, piece := range p.pieces {
		list = list[copy(piece, list):]
	}
}

// chunkSize is how much of an arena is allocated at once, when it is not new.
const (
	chunkSize  = 1 << 17
	firstChunk = 1 << 10
)

// ref is the place of a record in an arena; 0 is none.
type ref uint64

// arena holds many short byte strings without a header for each. Every part has
// its own, so that what is read together lies together.
type arena struct{ chunks [][]byte }

// add keeps a copy of rec, which is at most maxRecord long.
func (a *arena) add(rec []byte) ref {
	n, size := len(a.chunks), len(rec)+binary.MaxVarintLen32
	switch {
	case n == 0:
		// The first byte is left out, so that no ref is 0.
		a.chunks = append(a.chunks, make([]byte, 1, firstChunk))
		n++
	case len(a.chunks[n-1])+size > chunkSize:
		a.chunks = append(a.chunks, make([]byte, 0, chunkSize))
		n++
	}
	c := &a.chunks[n-1]
	if len(*c)+size > cap(*c) {
		*c = slices.Grow(*c, max(len(*c), size))
	}
	at := ref(n-1)*chunkSize + ref(len(*c))
	*c = binary.AppendUvarint(*c, uint64(len(rec)))
	*c = append(*c, rec...)
	return at
}

// get returns the bytes behind a ref; nil for 0.
func (a *arena) get(at ref) []byte {
	if at == 0 {
		return nil
	}
	c := a.chunks[at/chunkSize][at%chunkSize:]
	n, skip := binary.Uvarint(c)
	return c[skip:][:n]
}

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

// compareEntries orders by name as the table does, and the filings of one name
// by what their coverings say and the rest of what is known of them.
func (b *Builder) compareEntries(x, y entry) int {
	if c := cmp.Compare(x.h0, y.h0); c != 0 {
		return c
	}
	if c := cmp.Compare(x.h1, y.h1); c != 0 {
		return c
	}
	if x.record == 0 || y.record == 0 {
		return cmp.Compare(x.record, y.record)
	}
	if c := cmp.Compare(b.protos.keys[x.proto], b.protos.keys[y.proto]); c != 0 {
		return c
	}
	return bytes.Compare(b.item(x), b.item(y))
}

// isAddr reports whether a sum's entries are filed by address.
func (b *Builder) isAddr(e entry) bool {
	return e.record != 0 && b.item(e)[0]&groupAddr != 0
}

// item returns the encoded record of an entry; nil if it has none.
func (b *Builder) item(e entry) []byte { return b.arenas[e.h0>>56].get(e.record) }
