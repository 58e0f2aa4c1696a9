package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/icpgate/icpgate/registry"
)

// Stage reads an import, compares it with what is there and puts down what is to
// be done; nothing of it is in force before Publish. read hands on the filings: it
// calls adder for each goroutine that it has, as bulk.ImportShared does. An import
// that changes too much waits for Confirm; one that cannot be right is refused.
// With DryRun only the counts are made.
func (s *Store) Stage(ctx context.Context, by By, o ImportOptions, read func(adder func() func(registry.Filing) error) error) (Import, error) {
	if err := o.check(); err != nil {
		return Import{}, err
	}
	if err := by.check(); err != nil {
		return Import{}, err
	}
	i := Import{ID: cmp.Or(o.ID, randomID()), Made: s.o.Now().UTC(), By: by, Options: o, State: ImportStaging}
	if !o.DryRun {
		s.staging.Store(i.ID, true)
		defer s.staging.Delete(i.ID)
		if err := s.beginImport(ctx, &i); err != nil {
			return i, err
		}
	}
	err := s.stage(ctx, &i, read)
	if i.Counts.Read+i.Counts.Before >= manyCompared {
		debug.FreeOSMemory() // a service goes on for months; this took hundreds of megabytes
	}
	if err != nil && !o.DryRun {
		// It may be that ctx has ended; what is staged is to be gone all the same.
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseFor)
		defer cancel()
		if _, e := s.write(cleanup, by, func(t *tx) error { return t.drop(i.ID) }); e == nil {
			i.State = ImportDropped
		}
	}
	return i, err
}

// manyCompared filings take some ten megabytes to be compared.
const manyCompared = 200_000

// beginImport enters the import, unless another one is half published, and drops
// those that died while they were staged.
func (s *Store) beginImport(ctx context.Context, i *Import) error {
	_, err := s.write(ctx, i.By, func(t *tx) error {
		var half string
		switch err := t.row("SELECT id FROM import WHERE state = ?", string(ImportPublishing)).Scan(&half); err {
		case nil:
			return fmt.Errorf("import %q: %w", half, ErrUnfinished)
		case sql.ErrNoRows:
		default:
			return err
		}
		dead, err := t.deadImports()
		if err != nil {
			return err
		}
		for _, id := range dead {
			if err := t.drop(id); err != nil {
				return err
			}
		}
		if _, err := s.importOf(t.ctx, t, i.ID); !errors.Is(err, ErrNotFound) {
			return cmp.Or(err, fmt.Errorf("%w import: there is one with the id %q", ErrInvalid, i.ID))
		}
		return t.insert("import", importTable, "", s.importRow(i))
	})
	return err
}

var importTable = []string{"id", "node", "made_at", "who", "owner", "why", "source", "options", "state", "base", "counts", "chunks", "done",
	"confirmed_who", "confirmed_owner", "undoes"}

func (s *Store) importRow(i *Import) []any {
	node := "" // of one that is staged at once
	if i.State == ImportStaging {
		node = s.node
	}
	return []any{i.ID, node, i.Made.UnixMilli(), i.By.Who, i.By.Owner, i.By.Why, i.Options.Source, shown(i.Options), string(i.State), int64(i.Base),
		shown(i.Counts), int64(i.Chunks), int64(i.Done), "", "", i.Undoes}
}

// deadImports are those that are staged by a program which is not there any more,
// or by this one, which does not do so.
func (t *tx) deadImports() (ids []string, err error) {
	query, args := "SELECT id, node FROM import WHERE state = ?", []any{string(ImportStaging)}
	if !t.s.e.alone() {
		query, args = query+" AND (node = ? OR node NOT IN (SELECT id FROM node WHERE until >= ?))", append(args, t.s.node, t.now.UnixMilli())
	}
	err = t.s.each(t.ctx, t, query, args, func(rows *sql.Rows) error {
		var id, node string
		err := rows.Scan(&id, &node)
		if _, alive := t.s.staging.Load(id); !alive {
			ids = append(ids, id)
		}
		return err
	})
	return ids, err
}

func (s *Store) stage(ctx context.Context, i *Import, read func(adder func() func(registry.Filing) error) error) error {
	c, err := s.compare(ctx, &i.Options)
	if err != nil {
		return err
	}
	defer func() { c.spools.close() }()
	i.Base = c.rev
	if i.Counts.Before, err = c.before(); err != nil {
		return err
	}
	if err := read(c.adder); err != nil {
		return err
	}
	for _, p := range c.parts {
		if err := p.settle(); err != nil {
			return err
		}
	}
	c.count(&i.Counts)
	if err := i.Options.refuse(&i.Counts); err != nil {
		return err
	}
	if i.Options.Complete {
		if err := c.missing(&i.Counts); err != nil {
			return err
		}
	}
	if i.Counts.Fresh, err = c.partFresh(); err != nil {
		return err
	}
	if i.Counts.Lately, err = s.lately(ctx, s.r, i); err != nil {
		return err
	}
	i.State = ImportStaged
	if i.Counts.brake() || i.Options.AllowShrink && i.Options.Complete && i.Counts.Read*2 < i.Counts.Before {
		i.State = ImportWaiting
	}
	if i.Options.DryRun {
		return nil
	}
	if err := c.spools.sort(); err != nil {
		return err
	}
	return c.keep(i)
}

// before is how many filings a complete file should name about as many as.
func (c *comparison) before() (n int, err error) {
	if c.o.Part != PartAccesses || !c.o.Complete {
		return c.known.live, nil
	}
	err = c.s.r.QueryRowContext(c.ctx, c.s.e.query("SELECT count(*) FROM access WHERE provider = ? AND status <> ?"),
		string(c.o.Provider), int64(registry.AccessCancelled)).Scan(&n)
	return n, err
}

func (c *comparison) count(n *Counts) {
	n.Read, n.Added, n.Changed = int(c.counted.read.Load()), int(c.counted.added.Load()), int(c.counted.changed.Load())
	n.Unchanged, n.Refused, n.Flips = int(c.counted.unchanged.Load()), int(c.counted.refused.Load()), int(c.counted.flips.Load())
}

// missing puts down what a complete file does not name.
func (c *comparison) missing(n *Counts) error {
	kind, ids := taskCancel, []int64(nil)
	switch {
	case c.o.Part == PartAccesses:
		kind = taskAccess
		var err error
		if ids, err = c.unseenAccesses(); err != nil {
			return err
		}
	case c.o.Remove:
		kind, ids = taskRemove, c.known.unseen(true)
	default:
		ids = c.known.unseen(false)
	}
	if len(ids) == 0 {
		return nil
	}
	p, err := newSpool(len(c.spools.files))
	if err != nil {
		return err
	}
	c.spools.files = append(c.spools.files, p)
	for some := range slices.Chunk(ids, inBatch) {
		values := make([]any, len(some))
		for i, id := range some {
			values[i] = id
		}
		list, err := c.s.loadSites(c.ctx, c.s.r, "s.id IN (%s)", values)
		if err != nil {
			return err
		}
		for _, r := range list {
			n.Cancelled++
			if kind == taskAccess || flips(&r.f, nil) {
				n.Flips++
			}
			if err := p.add(c.s.seal, &task{kind: kind, key: r.key, rev: r.rev, f: r.f}); err != nil {
				return err
			}
		}
	}
	return nil
}

// unseenAccesses are the sites with an access of the provider that were not named.
func (c *comparison) unseenAccesses() (ids []int64, err error) {
	unseen := c.known.unseen(true)
	err = c.s.each(c.ctx, c.s.r, "SELECT site_id FROM access WHERE provider = ? AND status <> ? ORDER BY site_id",
		[]any{string(c.o.Provider), int64(registry.AccessCancelled)}, func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			if _, missing := slices.BinarySearch(unseen, id); missing {
				ids = append(ids, id)
			}
			return err
		})
	return ids, err
}

// partFresh leaves those fresh whose names nothing else has, and counts them.
func (c *comparison) partFresh() (fresh int, err error) {
	twice, err := c.shared()
	if err != nil {
		return 0, err
	}
	for _, p := range c.spools.files {
		for _, n := range p.names {
			if _, shared := slices.BinarySearch(twice, n.hash); shared {
				p.list[n.task].kind = taskTell
			}
		}
		p.names = nil
		for i := range p.list {
			if p.list[i].kind == taskFresh {
				fresh++
			}
		}
	}
	return fresh, nil
}

// fewFresh: so many names are looked up one by one when they are published.
const fewFresh = 10_000

// shared returns the hashes of names of fresh filings that are not theirs alone,
// in order.
func (c *comparison) shared() (twice []uint64, err error) {
	var all []uint64
	for _, p := range c.spools.files {
		for _, n := range p.names {
			all = append(all, n.hash)
		}
	}
	if c.known.n > 0 && len(all) < fewFresh {
		slices.Sort(all)
		return all, nil
	}
	for _, query := range []string{"SELECT name FROM domain", "SELECT addr FROM site WHERE addr IS NOT NULL"} {
		if c.known.n == 0 {
			break
		}
		err := c.s.each(c.ctx, c.s.r, query, nil, func(rows *sql.Rows) error {
			var name sql.RawBytes
			err := rows.Scan(&name)
			all = append(all, c.known.hash(string(name)))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(all)
	for i := 1; i < len(all); i++ {
		if all[i] == all[i-1] {
			twice = append(twice, all[i])
		}
	}
	return twice, nil
}

// chunksAtOnce is how many chunks one transaction puts into the database.
const chunksAtOnce = 16

// stagedRow is a row of table staged.
type stagedRow struct {
	importID string
	seq      int64
	body     []byte
}

var stagedTable = []string{"import_id", "seq", "body"}

// errEnded: who takes the rows has ended, with an error of its own.
var errEnded = errors.New("chunks are not kept any more")

// chunkRows hands on the rows of all chunks, and closes todo then.
func (c *comparison) chunkRows(i *Import, todo chan<- []stagedRow, ended <-chan struct{}) error {
	defer close(todo)
	var rows []stagedRow
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		select {
		case todo <- rows:
			rows = nil
			return nil
		case <-ended:
			return errEnded
		}
	}
	err := c.spools.chunks(i.Counts.chunk(), func(body []byte) error {
		rows = append(rows, stagedRow{i.ID, int64(i.Chunks), body})
		if i.Chunks++; len(rows) < chunksAtOnce {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// keepRows puts chunks into the database while the next of them are read.
func (c *comparison) keepRows(by By, todo <-chan []stagedRow) error {
	n := 0
	for rows := range todo {
		made := c.s.e.rowMaker("staged", stagedTable)
		for _, r := range rows {
			made.row()
			made.text(r.importID)
			made.big(r.seq)
			made.bytes(r.body)
		}
		_, err := c.s.write(c.ctx, by, func(t *tx) error {
			if err := t.stillStaging(rows[0].importID); err != nil {
				return err
			}
			return t.s.e.insertMade(t.ctx, t.conn, t.Tx, made)
		})
		if err != nil {
			return err
		}
		n += len(rows)
		c.progress("staging", n, 0)
	}
	return nil
}

// stillStaging reports an error where somebody has given the import up, or another
// program has: to that one this one was dead.
func (t *tx) stillStaging(id string) error {
	i, err := t.s.importOf(t.ctx, t, id)
	if err == nil && i.State != ImportStaging {
		err = i.is()
	}
	return err
}

// keep puts the tasks into the database, and then the import as staged.
func (c *comparison) keep(i *Import) error {
	todo, ended := make(chan []stagedRow, 1), make(chan struct{})
	var kept error
	go func() { defer close(ended); kept = c.keepRows(i.By, todo) }()
	err := c.chunkRows(i, todo, ended)
	<-ended
	if err := cmp.Or(kept, err); err != nil {
		return err
	}
	_, err = c.s.write(c.ctx, i.By, func(t *tx) error {
		if err := t.stillStaging(i.ID); err != nil {
			return err
		}
		t.note("import", i.ID, nil, map[string]any{"state": i.State, "options": i.Options, "counts": i.Counts})
		return t.exec("UPDATE import SET state = ?, node = '', base = ?, counts = ?, chunks = ? WHERE id = ?",
			string(i.State), int64(i.Base), shown(i.Counts), int64(i.Chunks), i.ID)
	})
	return err
}
