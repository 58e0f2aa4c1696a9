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
	parts     [256][]entry // by the first byte of h0
	arena     arena        // the encoded records
	protos    protos
	specials  map[sum]*special
	gov       []govFiling
	standing  map[registry.Domain]bool // government registrable names under which a site's filing stands
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
	filing registry.Filing // Site.Domains and Covers only
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
	}
	for _, host := range f.Covers {
		n += len(host) + 8
	}
	if n > maxRecord {
		return fmt.Errorf("the filing %s takes %d bytes; a snapshot keeps at most %d of one", f.Site.Number, n, maxRecord)
	}
	return nil
}

// enter files the encoded record and the entry that leads to it.
func (b *Builder) enter(f *registry.Filing, filed registry.Domain, e entry) {
	b.scratch = appendRecord(b.scratch[:0], f, filed)
	e.record = b.arena.add(b.scratch)
	part := &b.parts[e.h0>>56]
	*part = append(*part, e)
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

// single makes d a special name.
func (b *Builder) single(d registry.Domain) *special {
	s := b.key.name(d.String())
	sp := b.specials[s]
	if sp == nil {
		// A copy: d may be part of a longer string, or of a whole import file.
		sp = &special{name: canonical(strings.Clone(d.String()))}
		b.specials[s] = sp
	}
	return sp
}

// addGov notes the names that a filing under a government suffix singles out.
func (b *Builder) addGov(f *registry.Filing, filed registry.Domain) uint32 {
	if f.Site.Kind == registry.KindSite && f.Status.Stands() {
		b.standing[filed.GovRegistrable()] = true
	}
	g := govFiling{filed: filed}
	g.filing.Site.Domains = []registry.Domain{filed}
	g.filing.Covers = slices.Clone(f.Covers)
	b.gov = append(b.gov, g)
	if !g.coversAll() {
		for _, host := range g.hosts() {
			b.single(host)
			b.mark(host)
		}
	}
	return uint32(len(b.gov))
}

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

// chunkSize is how much of the arena is allocated at once.
const chunkSize = 1 << 20

// ref is the place of a record in an arena; 0 is none.
type ref uint64

// arena holds many short byte strings without a header for each.
type arena struct{ chunks [][]byte }

// add keeps a copy of rec, which is at most maxRecord long.
func (a *arena) add(rec []byte) ref {
	n := len(a.chunks)
	if n == 0 || len(a.chunks[n-1])+len(rec)+binary.MaxVarintLen32 > chunkSize {
		// The first byte is left out, so that no ref is 0.
		a.chunks = append(a.chunks, make([]byte, 1, chunkSize))
		n++
	}
	c := &a.chunks[n-1]
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
	list []registry.Covering // Filed and Inherited are not set
	buf  []byte
}

func (p *protos) of(f *registry.Filing) uint32 {
	c := registry.Covering{
		Kind: f.Site.Kind, Status: f.Status, Restricted: f.Restricted,
		AccessesKnown: f.AccessesKnown, Accesses: sortedAccesses(f.Accesses),
	}
	p.buf = append(p.buf[:0], byte(c.Kind), byte(c.Status), flag(c.Restricted)|flag(c.AccessesKnown)<<1)
	for _, a := range c.Accesses {
		p.buf = append(appendString(p.buf, string(a.Provider)), byte(a.Status))
		p.buf = binary.AppendVarint(p.buf, decidingTime(a))
	}
	if id, ok := p.ids[string(p.buf)]; ok {
		return id
	}
	if p.ids == nil {
		p.ids = map[string]uint32{}
	}
	c.Accesses = slices.Clone(c.Accesses)
	for i := range c.Accesses {
		c.Accesses[i].At = decidingTime(c.Accesses[i])
		c.Accesses[i].Provider = registry.ProviderID(strings.Clone(string(c.Accesses[i].Provider)))
	}
	id := uint32(len(p.list))
	p.ids[string(p.buf)] = id
	p.list = append(p.list, c)
	return id
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
// by kind, status and the rest of what is known of them.
func (b *Builder) compareEntries(x, y entry) int {
	if c := cmp.Compare(x.h0, y.h0); c != 0 {
		return c
	}
	if c := cmp.Compare(x.h1, y.h1); c != 0 {
		return c
	}
	return bytes.Compare(b.arena.get(x.record), b.arena.get(y.record))
}

// isAddr reports whether a sum's entries are filed by address.
func (b *Builder) isAddr(e entry) bool {
	rec := b.arena.get(e.record)
	return len(rec) > 2 && rec[2]&recordAddr != 0
}
