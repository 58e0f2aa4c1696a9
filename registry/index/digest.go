package index

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"runtime"

	"github.com/dchest/siphash"

	"github.com/icpgate/icpgate/registry"
)

// DigestBuckets is in how many parts a digest is kept. One of 5 million filings
// holds some 1,200 of them, 100 KB to fetch again where two registries differ.
const DigestBuckets = 4096

// Digest is what a registry's filings and blacklist sum to: in each bucket the
// sum, modulo 2^64, of a keyed hash (SipHash-2-4) of every filing under every one
// of its names, as a snapshot keeps it, and of every blacklisted name. Registries
// of one epoch have equal digests if and, but for a chance of 2^-64, only if they
// hold the same. The zero value is that of an empty registry. It is a value of
// 32 KiB; pass it by pointer.
type Digest [DigestBuckets]uint64

// Sum is all of d in one number.
func (d *Digest) Sum() (sum uint64) {
	for _, s := range d {
		sum += s
	}
	return sum
}

// Differ lists the buckets in which d and e differ.
func (d *Digest) Differ(e *Digest) (buckets []int) {
	for i := range d {
		if d[i] != e[i] {
			buckets = append(buckets, i)
		}
	}
	return buckets
}

// digester sums. Its key is made of the snapshot's, so that it is that of the
// epoch, but another: whoever sees digests learns nothing of fingerprints.
type digester struct {
	k0, k1 uint64
	buf    []byte
}

func newDigester(k key) *digester {
	d := &digester{}
	d.k0, d.k1 = siphash.Hash128(k.k0, k.k1, []byte("digest"))
	return d
}

// The first byte of what is hashed.
const (
	digestFiling byte = iota
	digestListed
	digestBucket
)

// bucketOf returns the bucket of a name or an address, which are packed.
func (d *digester) bucketOf(filed []byte) int {
	d.buf = append(append(d.buf[:0], digestBucket), filed...)
	return int(siphash.Hash(d.k0, d.k1, d.buf) % DigestBuckets)
}

// listed is the hash of a name on the blacklist.
func (d *digester) listed(filed []byte) uint64 {
	d.buf = append(append(d.buf[:0], digestListed), filed...)
	return siphash.Hash(d.k0, d.k1, d.buf)
}

// record is the hash of a filing, as appendRecord encodes it.
func (d *digester) record(record []byte) uint64 {
	d.buf = append(append(d.buf[:0], digestFiling), record...)
	return siphash.Hash(d.k0, d.k1, d.buf)
}

// kept is the sum of what a snapshot has under one name or address.
func (d *digester) kept(h *kept) (sum uint64) {
	filed := h.body[:len(h.body)-len(h.records)]
	group := flag(!h.name.IsZero()) ^ 1
	own := h.node.self.Filings
	for r := (reader{b: h.records}); len(r.b) > 0 && len(own) > 0 && !r.bad; own = own[1:] {
		facts := r.b
		r.skipFacts(len(own[0].Accesses))
		facts = facts[:len(facts)-len(r.b)]
		d.buf = append(appendProto(append(d.buf[:0], digestFiling), &own[0]), group*groupAddr)
		d.buf = append(append(d.buf, filed...), facts...)
		sum += siphash.Hash(d.k0, d.k1, d.buf)
	}
	return sum
}

// refiled is the sum of what newer filings are.
func (d *digester) refiled(f *refiled) (sum uint64) {
	for _, record := range f.records {
		sum += d.record(record)
	}
	return sum
}

// packedName is how a name lies in records, and packedAddr an address.
func packedName(d registry.Domain) []byte { return appendName(nil, d.String()) }

func packedAddr(a netip.Addr) []byte {
	b := plain(a).As16()
	return b[:]
}

// packed is packedName or packedAddr of what f is of.
func (f *refiled) packed() []byte {
	if f.byName() {
		return packedName(f.name)
	}
	return packedAddr(f.addr)
}

// Digest sums all that the snapshot holds: some 0.3 µs a filing. It fails if the
// records are damaged. The nil Index has the digest of nothing.
func (x *Index) Digest() (*Digest, error) {
	sums := new(Digest)
	if x == nil {
		return sums, nil
	}
	d := newDigester(x.key)
	ok := x.eachKept(func(h kept) bool {
		if len(h.records) > 0 {
			sums[d.bucketOf(h.body[:len(h.body)-len(h.records)])] += d.kept(&h)
		}
		return true
	})
	for name := range x.Blacklisted() {
		filed := packedName(name)
		sums[d.bucketOf(filed)] += d.listed(filed)
	}
	runtime.KeepAlive(x)
	if !ok {
		return nil, errors.New("records of the snapshot do not read; fetch or build it again")
	}
	return sums, nil
}

// change adds to a digest what a change makes different on top of a view, or of
// the edit that has taken in the changes before it.
func (d *digester) change(sums *Digest, e *edit, c *registry.Change) {
	switch c.Kind {
	case registry.ChangeFilings:
		f := newRefiled(c.Name, c.Addr, c.Filings, 0)
		sums[d.bucketOf(f.packed())] += d.refiled(f) - d.before(e, f)
	case registry.ChangeListed, registry.ChangeUnlisted:
		filed := packedName(c.Name)
		was := count(e.blacklists(c.Name))
		is := count(c.Kind == registry.ChangeListed)
		sums[d.bucketOf(filed)] += uint64(is-was) * d.listed(filed)
	}
}

// before is the sum of what an edit has so far under the name or address of f.
func (d *digester) before(e *edit, f *refiled) uint64 {
	if it := e.sets.set.find(e.sumOf(f)); it != nil && it.filed != nil {
		return d.refiled(it.filed)
	}
	h, ok := e.base.keptOf(f)
	if !ok {
		return 0
	}
	defer runtime.KeepAlive(e.base)
	return d.kept(&h)
}

// KeepDigest has l keep the digest of the registry in force from now on. sums is
// the digest of what is in force at rev, as it was kept before, or nil, for which
// it is computed. It fails, and changes nothing, if rev is not in force or
// nothing is. Swap ends it unless the revision stays.
func (l *Live) KeepDigest(sums *Digest, rev registry.Revision) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	v := l.p.Load()
	if v == nil {
		return errors.New("there is no registry to keep the digest of; load one first")
	}
	if v.Revision() != rev {
		return fmt.Errorf("the digest is of revision %s, the registry in force is at %s", rev, v.Revision())
	}
	if sums == nil {
		var err error
		if sums, err = v.Digest(); err != nil {
			return err
		}
	}
	kept := *sums
	l.digest = &kept
	return nil
}

// Digest returns the digest of the registry in force, with its revision; false if
// it is not kept.
func (l *Live) Digest() (*Digest, registry.Revision, bool) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.digest == nil {
		return nil, registry.Revision{}, false
	}
	sums := *l.digest
	return &sums, l.p.Load().Revision(), true
}

// Digest sums all that the view holds, as Index.Digest does.
func (v *View) Digest() (*Digest, error) {
	if v == nil {
		return new(Digest), nil
	}
	sums, err := v.base.Digest()
	if err != nil || v.over == nil {
		return sums, err
	}
	d, before := newDigester(v.base.key), editOverlay(v.base, nil)
	v.over.set.all(func(_ sum, it *item) {
		if f := it.filed; f != nil {
			sums[d.bucketOf(f.packed())] += d.refiled(f) - d.before(before, f)
		}
		if it.list != listedAsBefore {
			filed := packedName(it.name)
			more := count(it.list == listedNow) - count(v.base.blacklists(it.name))
			sums[d.bucketOf(filed)] += uint64(more) * d.listed(filed)
		}
	})
	runtime.KeepAlive(v)
	return sums, nil
}

// In goes through all that lies in some buckets of the digest, as the changes
// that would make it of nothing: for repair, where digests differ. The order
// means nothing. It reads the whole snapshot.
func (v *View) In(buckets []int) iter.Seq[registry.Change] {
	return func(yield func(registry.Change) bool) {
		if v == nil {
			return
		}
		var in [DigestBuckets]bool
		for _, b := range buckets {
			if b >= 0 && b < DigestBuckets {
				in[b] = true
			}
		}
		w := walkIn{v: v, d: newDigester(v.base.key), in: &in, yield: yield}
		_ = w.kept() && w.newer() && w.listed()
		runtime.KeepAlive(v)
	}
}

// walkIn is one walk of In. Its parts report whether to go on.
type walkIn struct {
	v     *View
	d     *digester
	in    *[DigestBuckets]bool
	yield func(registry.Change) bool
}

// kept goes through what the snapshot has and nothing newer replaces.
func (w *walkIn) kept() bool {
	more := true
	w.v.base.eachKept(func(h kept) bool {
		if len(h.records) == 0 || !w.in[w.d.bucketOf(h.body[:len(h.body)-len(h.records)])] || w.v.replaced(&h) {
			return true
		}
		c := registry.Change{Revision: w.v.Revision(), Kind: registry.ChangeFilings, Name: h.name, Addr: h.addr}
		h.each(func(_ *registry.Covering, rec *stored) { c.Filings = append(c.Filings, rec.filing()) })
		more = w.yield(c)
		return more
	})
	return more
}

// newer goes through what was filed since.
func (w *walkIn) newer() bool {
	more := true
	if w.v.over == nil {
		return true
	}
	w.v.over.set.all(func(_ sum, it *item) {
		f := it.filed
		if more && f != nil && len(f.filings) > 0 && w.in[w.d.bucketOf(f.packed())] {
			more = w.yield(registry.Change{Revision: w.v.Revision(), Kind: registry.ChangeFilings, Name: f.name, Addr: f.addr, Filings: f.filings})
		}
	})
	return more
}

func (w *walkIn) listed() bool {
	for name := range w.v.Blacklisted() {
		if w.in[w.d.bucketOf(packedName(name))] &&
			!w.yield(registry.Change{Revision: w.v.Revision(), Kind: registry.ChangeListed, Name: name}) {
			return false
		}
	}
	return true
}

// replaced reports whether something newer stands for what the snapshot has.
func (v *View) replaced(h *kept) bool {
	if v.over == nil {
		return false
	}
	s := v.base.key.addr(h.addr)
	if !h.name.IsZero() {
		s = v.base.key.name(h.name.String())
	}
	it := v.over.set.find(s)
	return it != nil && it.filed != nil
}

// Blacklisted goes through the names on the blacklist themselves. On a nil View
// there are none.
func (v *View) Blacklisted() iter.Seq[registry.Domain] {
	return func(yield func(registry.Domain) bool) {
		if v == nil {
			return
		}
		now := map[registry.Domain]listing{}
		if v.over != nil {
			v.over.set.all(func(_ sum, it *item) {
				if it.list != listedAsBefore {
					now[it.name] = it.list
				}
			})
		}
		for d := range v.base.Blacklisted() {
			if now[d] != unlistedNow && !yield(d) {
				return
			}
			delete(now, d)
		}
		for d, l := range now {
			if l == listedNow && !yield(d) {
				return
			}
		}
	}
}
