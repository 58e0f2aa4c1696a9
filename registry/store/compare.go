package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/icpgate/icpgate/registry"
)

// comparison tells what an import does, by what the registry holds.
type comparison struct {
	ctx    context.Context
	s      *Store
	o      *ImportOptions
	known  *known
	erased map[string]bool
	rev    uint64

	mu      sync.Mutex // guards spools and calls of the options' functions
	spools  spools
	parts   []*comparer
	counted struct{ read, unchanged, added, changed, refused, flips atomic.Int64 }
}

// comparer is what one goroutine has of a comparison.
type comparer struct {
	*comparison
	spool  *spool
	digest digester
	doubt  []registry.Filing // may be other than what is there
}

// compare reads what is there.
func (s *Store) compare(ctx context.Context, o *ImportOptions) (c *comparison, err error) {
	c = &comparison{ctx: ctx, s: s, o: o, erased: map[string]bool{}}
	err = s.View(ctx, func(v *View) error {
		c.rev = v.Revision.Rev
		err := s.each(ctx, v.tx, "SELECT number FROM entity WHERE erased_at IS NOT NULL", nil, func(rows *sql.Rows) error {
			var number string
			err := rows.Scan(&number)
			c.erased[number] = true
			return err
		})
		if err == nil {
			c.known, err = v.loadKnown(ctx)
		}
		return err
	})
	return c, err
}

// adder makes a way in for one goroutine.
func (c *comparison) adder() func(registry.Filing) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := newSpool(len(c.spools.files))
	if err != nil {
		return func(registry.Filing) error { return err }
	}
	c.spools.files = append(c.spools.files, p)
	one := &comparer{comparison: c, spool: p, digest: digester{seal: c.s.seal}}
	c.parts = append(c.parts, one)
	return one.add
}

// doubtful is how many filings in doubt are looked at together.
const doubtful = inBatch

func (c *comparer) add(f registry.Filing) error {
	if n := c.counted.read.Add(1); n%10_000 == 0 {
		c.progress("comparing", int(n), 0)
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	tidyFiling(&f)
	if err := cmp.Or(f.Check(), f.CheckTimes()); err != nil {
		c.refuse(&f, err)
		return nil
	}
	if len(c.erased) > 0 && personal(f.Entity.Nature) && c.erased[f.Entity.Number.String()] {
		f.Entity.Name = ""
	}
	slot := c.known.find(KeyOf(&f))
	switch {
	case slot != nil:
		slot.see()
		if sums := c.digest.of(&f); slot.same(&sums, &f, c.o.Part) {
			c.counted.unchanged.Add(1)
			return nil
		}
	case c.o.Part != PartAccesses && (c.known.n == 0 || !c.known.bare && !f.Site.Number.IsZero()):
		return c.fresh(&f)
	}
	c.doubt = append(c.doubt, f)
	if len(c.doubt) < doubtful {
		return nil
	}
	return c.settle()
}

// fresh puts down a filing of which nothing is there. That its names are its own
// shows at the end.
func (c *comparer) fresh(f *registry.Filing) error {
	c.counted.added.Add(1)
	if c.o.Part == PartFilings {
		f.Accesses, f.AccessesKnown = nil, false
	}
	at := uint32(len(c.spool.list))
	if f.Site.Kind == registry.KindIP {
		c.spool.names = append(c.spool.names, spooledName{c.known.hash(addrText(f.Addr)), at})
	}
	for _, d := range f.Site.Domains {
		c.spool.names = append(c.spool.names, spooledName{c.known.hash(d.String()), at})
	}
	return c.spool.add(c.s.seal, &task{kind: taskFresh, key: KeyOf(f), f: *f})
}

// settle looks at the filings in doubt.
func (c *comparer) settle() error {
	list := c.doubt
	c.doubt = c.doubt[:0]
	found, err := c.s.resolve(c.ctx, c.s.r, list)
	if err != nil {
		return err
	}
	for i := range list {
		if err := c.one(&list[i], found[i]); err != nil {
			return err
		}
	}
	return nil
}

// one counts what a filing changes and puts it down.
func (c *comparer) one(f *registry.Filing, at resolved) error {
	if at.err == nil && at.old == nil && c.o.Part == PartAccesses {
		at.err = errNoFiling
	}
	if at.err != nil {
		c.refuse(f, at.err)
		return nil
	}
	if at.old == nil {
		c.counted.added.Add(1)
		return c.spool.add(c.s.seal, &task{kind: taskTell, key: KeyOf(f), f: *f})
	}
	if slot := c.known.find(at.old.key); slot != nil {
		slot.see()
	}
	out := c.o.merge(&at.old.f, f)
	if err := out.Check(); err != nil {
		c.refuse(f, err)
		return nil
	}
	was := c.digest.of(&at.old.f)
	if KeyOf(&out) == at.old.key && c.digest.of(&out) == was {
		c.counted.unchanged.Add(1)
		return nil
	}
	c.counted.changed.Add(1)
	if flips(&at.old.f, &out) {
		c.counted.flips.Add(1)
	}
	return c.spool.add(c.s.seal, &task{kind: taskTell, key: KeyOf(f), rev: at.old.rev, f: *f, was: baseline{head(was.facts[:]), at.old.f.Accesses}})
}

// errNoFiling refuses an access of nothing.
var errNoFiling = errors.New("no such filing is there; import filings before their accesses")

func (c *comparison) refuse(f *registry.Filing, err error) {
	c.counted.refused.Add(1)
	if c.o.Refused == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.o.Refused(f, err)
}

func (c *comparison) progress(step string, done, of int) {
	if c.o.Progress == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.o.Progress(ImportProgress{step, done, of})
}

// resolved is which filing of the registry another one speaks of; old is nil for
// none.
type resolved struct {
	old *record
	err error
}

// resolve finds what each filing speaks of: what has its key; for a number that is
// new, the filing of its name and kind without one; and without a number, the only
// filing of its name and kind.
func (s *Store) resolve(ctx context.Context, q querier, list []registry.Filing) ([]resolved, error) {
	out := make([]resolved, len(list))
	if err := s.resolveBy(ctx, q, list, out, KeyOf); err != nil {
		return nil, err
	}
	if err := s.resolveBy(ctx, q, list, out, keyWithoutNumber); err != nil {
		return nil, err
	}
	var names []registry.Domain
	for i := range list {
		if out[i].old == nil && list[i].Site.Number.IsZero() && len(list[i].Site.Domains) > 0 {
			names = append(names, list[i].Site.Domains[0])
		}
	}
	if len(names) == 0 {
		return out, nil
	}
	under, err := s.filingsUnder(ctx, q, names)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if f := &list[i]; out[i].old == nil && f.Site.Number.IsZero() && len(f.Site.Domains) > 0 {
			out[i] = only(under[f.Site.Domains[0]], f)
		}
	}
	return out, nil
}

// resolveBy finds filings by a key of those that have one and are not found yet.
func (s *Store) resolveBy(ctx context.Context, q querier, list []registry.Filing, out []resolved, keyOf func(*registry.Filing) string) error {
	keys := make([]string, len(list))
	var values []any
	for i := range list {
		if out[i].old == nil {
			if keys[i] = keyOf(&list[i]); keys[i] != "" {
				values = append(values, keys[i])
			}
		}
	}
	if len(values) == 0 {
		return nil
	}
	found, err := s.loadSites(ctx, q, "s.key IN (%s)", values)
	if err != nil {
		return err
	}
	byKey := make(map[string]*record, len(found))
	for _, r := range found {
		byKey[r.key] = r
	}
	for i, key := range keys {
		if key != "" {
			out[i].old = byKey[key]
		}
	}
	return nil
}

// only returns the filing of f's kind.
func only(list []*record, f *registry.Filing) (r resolved) {
	for _, one := range list {
		switch {
		case one.f.Site.Kind != f.Site.Kind:
		case r.old != nil:
			return resolved{err: fmt.Errorf("%q and %q are both filed under %q, and the number is not given", r.old.key, one.key, f.Site.Domains[0])}
		default:
			r.old = one
		}
	}
	return r
}
