package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Publish brings a staged import into force, revision by revision, each of which is
// a valid state; cancellations come last. Others may write between them, and may have
// written since the import was compared, however long ago that was: what they made of
// a filing stays and is counted as skipped, unless they changed another part of it than
// the import does. It may be called again after whatever ended it, and goes on where
// it was. Where another program on the database is at it, it waits until that is done
// or its lease ends. progress is called after each revision, and while it waits; it may
// be nil.
func (s *Store) Publish(ctx context.Context, id string, progress func(ImportProgress)) (Import, error) {
	call := new(byte)
	s.atIt.Store(call, id)
	defer s.atIt.Delete(call)
	s.importing.Lock()
	defer s.importing.Unlock()
	i, err := s.Due(ctx, id)
	if err == nil && i.State != ImportDone {
		err = i.publishable()
	}
	if err != nil || i.State == ImportDone {
		return i, err
	}
	if i, err = s.beAt(ctx, i, progress); err != nil || i.State == ImportDone {
		return i, err
	}
	defer s.leave(ctx, id)
	p := &publisher{s: s, ctx: ctx, i: &i, checked: i.Base, names: map[registry.Domain]bool{}, addrs: map[netip.Addr]bool{}, keys: map[string]bool{}}
	if p.loading, err = s.loads(ctx); err == nil {
		err = p.all(progress)
	}
	p.stopAhead()
	if !p.loading && i.Chunks >= manyChunks {
		debug.FreeOSMemory()
	}
	return i, errors.Join(err, p.endLoad())
}

// manyChunks leave some ten megabytes behind when they are published.
const manyChunks = 100

// Pace has imports wait after each revision that they publish, until wait returns:
// so that edges hear in between of what others change. nil: they do not.
func (s *Store) Pace(wait func(ctx context.Context, rev registry.Revision)) {
	if wait == nil {
		s.pace.Store(nil)
		return
	}
	s.pace.Store(&wait)
}

// publisher publishes one import.
type publisher struct {
	s       *Store
	ctx     context.Context
	i       *Import
	rev     registry.Revision // of the last chunk
	loading bool              // indexes are dropped
	learned bool              // the database has since been told of what tables hold
	ahead   *preparer         // makes ready what is loaded next; nil before the first
	slowly  bool              // each filing has to be looked at

	// Where others write all the time, each step is stale when it is ready. Some chunks
	// are made by themselves then, whatever others do: more of them each time.
	single int // that are still to be
	stale  int // how many were the last time; 0 after a step that was not

	// What others have changed since the import was compared.
	checked uint64 // up to this revision
	lost    bool   // it is not known any more
	names   map[registry.Domain]bool
	addrs   map[netip.Addr]bool
	keys    map[string]bool
}

func (p *publisher) all(progress func(ImportProgress)) error {
	if p.i.Chunks == 0 {
		return p.finish()
	}
	for p.i.Done < p.i.Chunks {
		if err := p.next(); err != nil {
			return fmt.Errorf("import %q, chunk %d of %d: %w", p.i.ID, p.i.Done+1, p.i.Chunks, err)
		}
		if progress != nil {
			progress(ImportProgress{"publishing", p.i.Done, p.i.Chunks})
		}
		if wait := p.s.pace.Load(); wait != nil {
			(*wait)(p.ctx, p.rev)
		}
	}
	return nil
}

// finish ends an import that changes nothing.
func (p *publisher) finish() error {
	_, err := p.s.write(p.ctx, p.i.By, func(t *tx) error {
		now, err := p.s.importOf(t.ctx, t, p.i.ID)
		if err != nil || now.State == ImportDone {
			return err
		}
		if now.State != ImportStaged {
			return now.is()
		}
		return t.exec("UPDATE import SET state = ? WHERE id = ?", string(ImportDone), p.i.ID)
	})
	if err == nil {
		p.i.State = ImportDone
	}
	return err
}

// next publishes the next chunk, or several of a load.
func (p *publisher) next() error {
	if p.ahead == nil {
		if err := p.ready(); err != nil {
			return err
		}
	}
	if p.loading && !p.slowly && p.single == 0 {
		if done, err := p.loadStep(); done || err != nil {
			return err
		}
		if err := p.ready(); err != nil {
			return err
		}
	}
	p.single = max(0, p.single-1)
	return p.chunk()
}

// ready drops the indexes for a next chunk that is loaded, or makes them again.
func (p *publisher) ready() error {
	fresh, err := p.nextIsFresh()
	if err != nil {
		return err
	}
	return p.load(fresh)
}

// chunk publishes the next chunk as one revision.
func (p *publisher) chunk() error {
	var after Import
	rev, err := p.s.write(p.ctx, p.i.By, func(t *tx) (err error) {
		if after, err = p.s.importOf(t.ctx, t, p.i.ID); err != nil {
			return err
		}
		switch {
		case after.Done == after.Chunks && after.State == ImportDone:
			return nil // another program was faster
		case after.State != ImportStaged && after.State != ImportPublishing:
			return after.is()
		}
		if err := t.mayBegin(&after); err != nil {
			return err
		}
		return p.inForce(t, &after)
	})
	if err != nil {
		return err
	}
	if p.checked+1 == rev.Rev {
		p.checked = rev.Rev
	}
	return p.published(after, rev)
}

// published takes in what has been published.
func (p *publisher) published(after Import, rev registry.Revision) error {
	if after.Done == after.Chunks {
		after.State = ImportDone
	}
	*p.i, p.rev = after, rev
	if p.loading && !p.learned {
		// A few chunks tell enough of what the others will be.
		p.learned = true
		return p.learnTables()
	}
	return nil
}

func (p *publisher) learnTables() error {
	for _, q := range p.s.e.learning() {
		if _, err := p.s.w.ExecContext(p.ctx, q); err != nil {
			return p.s.failed(err)
		}
	}
	return nil
}

// inForce does the tasks of a chunk and enters that they are done.
func (p *publisher) inForce(t *tx, i *Import) error {
	var body []byte
	if err := t.row("SELECT body FROM staged WHERE import_id = ? AND seq = ?", i.ID, int64(i.Done)).Scan(&body); err != nil {
		return err
	}
	tasks, err := p.s.readTasks(nil, body)
	if err != nil {
		return err
	}
	t.partOf(i)
	if err := p.learn(t); err != nil {
		return err
	}
	skipped, err := p.do(t, tasks)
	if err != nil {
		return err
	}
	return t.chunksDone(i, 1, skipped)
}

// partOf makes the revision one of an import.
func (t *tx) partOf(i *Import) {
	t.importID = i.ID
	if i.ConfirmedBy.Who != "" || i.Undoes != "" {
		t.flips = uint64(i.Counts.Flips)
	}
}

// chunksDone enters that the next n chunks of an import are done.
func (t *tx) chunksDone(i *Import, n, skipped int) error {
	if err := t.exec("DELETE FROM staged WHERE import_id = ? AND seq >= ? AND seq < ?", i.ID, int64(i.Done), int64(i.Done+n)); err != nil {
		return err
	}
	i.Done += n
	i.Counts.Skipped += skipped
	i.State = ImportPublishing
	if i.First == 0 {
		i.First = t.rev()
	}
	i.Last = t.at.Rev + uint64(n)
	state := i.State
	if i.Done == i.Chunks {
		state = ImportDone
		was, is := map[string]any{"state": ImportStaged}, map[string]any{"state": state, "revisions": fmt.Sprintf("%d to %d", i.First, i.Last)}
		if i.Counts.Skipped > 0 {
			is["skipped"] = i.Counts.Skipped
		}
		t.note("import", i.ID, was, is)
	}
	return t.exec("UPDATE import SET state = ?, done = ?, counts = ?, first_rev = ?, last_rev = ? WHERE id = ?",
		string(state), int64(i.Done), shown(i.Counts), int64(i.First), int64(i.Last), i.ID)
}

// readTasks appends the tasks of a chunk.
func (s *Store) readTasks(tasks []task, body []byte) ([]task, error) {
	d := decoder{b: body}
	for len(d.b) > 0 {
		x, err := d.task(s.seal)
		if err != nil {
			return nil, err
		}
		if d.bad {
			return nil, errBytes
		}
		tasks = append(tasks, x)
	}
	return tasks, nil
}

// learn reads what others have changed since it was last asked.
func (p *publisher) learn(t *tx) error {
	if p.checked >= t.at.Rev || p.lost {
		return nil
	}
	if p.checked < t.base {
		p.lost = true
		return nil
	}
	err := t.s.each(t.ctx, t, `SELECT c.body FROM change c JOIN revision r ON r.rev = c.rev
		WHERE c.rev > ? AND (r.import_id IS NULL OR r.import_id <> ?)`, []any{int64(p.checked), p.i.ID}, func(rows *sql.Rows) error {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return err
		}
		var told Published
		if err := told.read(body); err != nil {
			return err
		}
		for _, c := range told.Changes {
			if c.Addr.IsValid() {
				p.addrs[c.Addr] = true
			} else {
				p.names[c.Name] = true
			}
			for i := range c.Filings {
				p.keys[KeyOf(&c.Filings[i])] = true
			}
		}
		return nil
	})
	p.checked = t.at.Rev
	return err
}

// stillFresh reports whether nobody has made anything under the names of a filing
// since the import was compared.
func (p *publisher) stillFresh(x *task) bool {
	if p.lost || p.keys[x.key] || p.addrs[x.f.Addr] {
		return false
	}
	for _, d := range x.f.Site.Domains {
		if p.names[d] {
			return false
		}
	}
	return true
}

// manyFresh is from how many fresh filings on a load drops indexes, where at most
// a quarter as many are there: it is faster to make them again. Only tests change
// it.
var manyFresh = 100_000

// nextIsFresh reports whether the next chunk is of fresh filings.
func (p *publisher) nextIsFresh() (bool, error) {
	var body []byte
	err := p.s.r.QueryRowContext(p.ctx, p.s.e.query("SELECT substr(body, 1, 1) FROM staged WHERE import_id = ? AND seq = ?"), p.i.ID, int64(p.i.Done)).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil // another program has published it
	}
	return len(body) > 0 && taskKind(body[0]) == taskFresh, err
}

// load drops indexes before many fresh filings, and makes them again after them.
func (p *publisher) load(fresh bool) error {
	if !fresh {
		return p.endLoad()
	}
	if p.loading || !p.i.Counts.load() {
		return nil
	}
	p.loading = true
	return p.s.setLoading(p.ctx, p.i.ID)
}

// endLoad makes the indexes again, also when what asked for them has ended.
func (p *publisher) endLoad() error {
	if !p.loading {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), 10*time.Minute)
	defer cancel()
	if err := p.s.setLoading(ctx, ""); err != nil {
		return err
	}
	p.loading, p.learned = false, false
	p.stopAhead()
	debug.FreeOSMemory() // of the rows that were made ready
	return p.learnTables()
}
