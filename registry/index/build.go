package index

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"
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

// Builder collects filings and makes an Index of them, or a file. The snapshot
// is the same to the byte for the same filings, blacklist and Options, in
// whatever order they came and whoever added them. NewBuilder makes one; it is
// for one goroutine (beside which each Adder has its own) and builds once.
type Builder struct {
	collector
	options   Options
	err       error // why the random key could not be made
	built     bool
	blacklist map[registry.Domain]struct{}
	tops      bool
	mu        sync.Mutex
	adders    []*Adder // guarded by mu
}

// NewBuilder begins a snapshot.
func NewBuilder(o Options) *Builder {
	b := &Builder{options: o, blacklist: map[registry.Domain]struct{}{}}
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
	b.collector = newCollector(keyOf(b.options.Key))
	return b
}

var errBuilt = errors.New("the snapshot is built already; make a new Builder")

// Add takes a filing in, under each of its domains or under its address. What
// Check refuses is an error, and nothing of it is added. Add keeps no reference
// to slices of f.
func (b *Builder) Add(f registry.Filing) error {
	if b.built {
		return errBuilt
	}
	return b.add(&f)
}

// Adder takes filings in for a Builder, beside it and other Adders. It is for
// one goroutine. The zero value is of no use; Builder.Adder makes one.
type Adder struct {
	collector
	b *Builder
}

// Adder makes another way in, for a goroutine of its own. It may be called by
// any goroutine. What was added by all of them is in the snapshot; none may be
// used any more once it is being built.
func (b *Builder) Adder() *Adder {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := &Adder{newCollector(b.key), b}
	b.adders = append(b.adders, a)
	return a
}

// Add is Builder.Add.
func (a *Adder) Add(f registry.Filing) error {
	if a.b.built {
		return errBuilt
	}
	return a.add(&f)
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
