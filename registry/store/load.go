package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/icpgate/icpgate/registry"
)

// A load publishes fresh filings by the million. Nothing has to be looked up for
// them, so one goroutine makes the rows of the next chunks ready while the database
// takes in those of the last ones; and several chunks, each of which stays a revision
// of its own, are one transaction.

// loadAtOnce is how many chunks of a load one transaction publishes. Others that
// write wait for it.
const loadAtOnce = 8

// rowMaker takes new rows of a table, column by column, and keeps them in the form
// in which the database takes in many. It is for one goroutine.
type rowMaker interface {
	reset() // to no rows
	row()   // begins one
	big(v int64)
	small(v int64)
	text(s string)
	bytes(b []byte) // nil is NULL
	null()
}

// orNull writes a text, or NULL for an empty one.
func orNull(m rowMaker, s string) {
	if s == "" {
		m.null()
		return
	}
	m.text(s)
}

// loadStep are the chunks of one transaction, ready to be inserted. It holds for the
// revision, the last id and the chunk that it was made for, and for no other.
type loadStep struct {
	first  int               // chunk
	after  registry.Revision // the one before its own
	lastID int64             // before it
	tasks  []task
	logs   [][]byte // what the log keeps of each chunk

	entities                 [][]any
	sites, domains, accesses rowMaker
	err                      error
}

func (l *loadStep) end() (rev uint64, lastID int64) {
	return l.after.Rev + uint64(len(l.logs)), l.lastID + int64(len(l.tasks))
}

// preparer makes steps ahead.
type preparer struct {
	s      *Store
	i      *Import
	steps  chan *loadStep
	used   chan *loadStep // whose memory can be used again
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// loadAhead begins to make the steps of an import from its next chunk on.
func (s *Store) loadAhead(ctx context.Context, i Import) (*preparer, error) {
	var at loadStep
	at.first = i.Done
	var err error
	if at.after, _, err = s.where(ctx, s.r); err != nil {
		return nil, err
	}
	if err := s.r.QueryRowContext(ctx, "SELECT last_id FROM meta WHERE id = 1").Scan(&at.lastID); err != nil {
		return nil, err
	}
	l := &preparer{s: s, i: &i, steps: make(chan *loadStep, 1), used: make(chan *loadStep, 1)}
	ctx, l.cancel = context.WithCancel(ctx)
	l.work.Go(func() { l.run(ctx, at) })
	return l, nil
}

func (l *preparer) stop() {
	l.cancel()
	l.work.Wait()
}

// run makes steps until there is no chunk of fresh filings, which an empty step
// tells.
func (l *preparer) run(ctx context.Context, at loadStep) {
	for {
		next := l.empty()
		next.first, next.after, next.lastID = at.first, at.after, at.lastID
		next.err = l.fill(ctx, next)
		select {
		case l.steps <- next:
		case <-ctx.Done():
			return
		}
		if next.err != nil || len(next.logs) == 0 {
			return
		}
		at.first += len(next.logs)
		at.after.Rev, at.lastID = next.end()
	}
}

// empty is a step without anything, of memory that was used before if there is some.
func (l *preparer) empty() *loadStep {
	select {
	case step := <-l.used:
		step.sites.reset()
		step.domains.reset()
		step.accesses.reset()
		clear(step.tasks)
		return &loadStep{tasks: step.tasks[:0], logs: step.logs[:0], sites: step.sites, domains: step.domains, accesses: step.accesses}
	default:
	}
	e := l.s.e
	return &loadStep{sites: e.rowMaker("site", siteTable), domains: e.rowMaker("domain", domainTable), accesses: e.rowMaker("access", accessTable)}
}

// fill makes the rows of the chunks that follow, as far as they are fresh.
func (l *preparer) fill(ctx context.Context, step *loadStep) error {
	var bodies [][]byte
	err := l.s.each(ctx, l.s.r, "SELECT body FROM staged WHERE import_id = ? AND seq >= ? AND seq < ? ORDER BY seq",
		[]any{l.i.ID, int64(step.first), int64(step.first + loadAtOnce)}, func(rows *sql.Rows) error {
			var body []byte
			err := rows.Scan(&body)
			bodies = append(bodies, body)
			return err
		})
	if err != nil {
		return err
	}
	m := l.s.newLoadMaker(step)
	for _, body := range bodies {
		if len(body) == 0 || taskKind(body[0]) != taskFresh {
			return nil // chunks are of one kind
		}
		if err := m.chunk(body); err != nil {
			return err
		}
	}
	return nil
}

// loadMaker makes the rows and the log of a step.
type loadMaker struct {
	s      *Store
	step   *loadStep
	digest digester
	w      writing // for entities
}

func (s *Store) newLoadMaker(step *loadStep) *loadMaker {
	return &loadMaker{s: s, step: step, digest: digester{seal: s.seal}, w: writing{t: &tx{s: s}}}
}

// chunk adds one revision.
func (m *loadMaker) chunk(body []byte) (err error) {
	l := m.step
	rev, id := l.end()
	rev++
	before := len(l.tasks)
	if l.tasks, err = m.s.readTasks(l.tasks, body); err != nil {
		return err
	}
	tasks := l.tasks[before:]
	var e encoder
	if n := len(l.logs); n < cap(l.logs) {
		e.b = l.logs[:n+1][n][:0]
	}
	for i := range tasks {
		f := &tasks[i].f
		id++
		if !f.Entity.Number.IsZero() {
			m.w.entity(f)
		}
		m.s.makeSite(l.sites, id, rev, tasks[i].key, f, m.digest.of(f))
		makeDomains(l.domains, id, f)
		makeAccesses(l.accesses, id, f)
		if err := e.added(f, registry.Revision{Epoch: l.after.Epoch, Rev: rev}); err != nil {
			return err
		}
	}
	l.logs = append(l.logs, e.b)
	l.entities = m.w.entities
	return nil
}

// added writes the changes that a new filing makes to the names that are its alone.
func (e *encoder) added(f *registry.Filing, rev registry.Revision) error {
	public := [1]registry.Filing{redact(*f)}
	c := registry.Change{Revision: rev, Kind: registry.ChangeFilings, Filings: public[:]}
	if f.Addr.IsValid() {
		c.Addr = f.Addr
		if err := c.Check(); err != nil {
			return err
		}
		e.change(&c)
		c.Addr = registry.Change{}.Addr
	}
	for _, d := range f.Site.Domains {
		c.Name = d
		if err := c.Check(); err != nil {
			return err
		}
		e.change(&c)
	}
	return nil
}

// errStale: others have written since the step was made.
var errStale = errors.New("the step is of an older revision")

// loadStep publishes the next step. It reports false where the next chunk has to be
// published by itself.
func (p *publisher) loadStep() (done bool, err error) {
	if p.ahead == nil {
		if p.ahead, err = p.s.loadAhead(p.ctx, *p.i); err != nil {
			return false, err
		}
	}
	step := <-p.ahead.steps
	if step.err != nil || len(step.logs) == 0 {
		p.stopAhead()
		return false, step.err
	}
	var after Import
	alone := false
	rev, err := p.s.write(p.ctx, p.i.By, func(t *tx) (err error) {
		if after, err = p.s.importOf(t.ctx, t, p.i.ID); err != nil {
			return err
		}
		if after.State != ImportStaged && after.State != ImportPublishing || after.Done != step.first || t.at != step.after || t.lastID != step.lastID {
			return errStale
		}
		if err := t.mayBegin(&after); err != nil {
			return err
		}
		if alone, err = p.mustLook(t, step); err != nil || alone {
			return err
		}
		return p.loadInForce(t, &after, step)
	})
	switch {
	case errors.Is(err, errStale):
		p.stopAhead() // the next one begins with what is there now
		p.stale = min(max(1, 2*p.stale), loadAtOnce)
		p.single = p.stale
		*p.i, err = p.s.Import(p.ctx, p.i.ID)
		return false, err
	case err != nil:
		return false, err
	case alone:
		p.stopAhead()
		return false, nil
	}
	if p.checked == step.after.Rev {
		p.checked = rev.Rev
	}
	p.stale = 0
	select {
	case p.ahead.used <- step:
	default:
	}
	return true, p.published(after, rev)
}

// mustLook reports whether something of a step is not to be added as it is: others
// have made something under its names, or its entities are treated in another way.
func (p *publisher) mustLook(t *tx, step *loadStep) (bool, error) {
	if err := p.learn(t); err != nil {
		return false, err
	}
	if err := t.forget(); err != nil {
		return false, err
	}
	if err := t.beforeSites(); err != nil {
		return false, err
	}
	if t.lists || len(t.erased) > 0 || p.lost {
		p.slowly = true
		return true, nil
	}
	if len(p.names) == 0 && len(p.addrs) == 0 && len(p.keys) == 0 {
		return false, nil
	}
	for i := range step.tasks {
		if !p.stillFresh(&step.tasks[i]) {
			return true, nil
		}
	}
	return false, nil
}

// loadInForce enters a step, and that its chunks are done.
func (p *publisher) loadInForce(t *tx, i *Import, step *loadStep) error {
	t.partOf(i)
	t.logs = step.logs
	_, t.lastID = step.end()
	t.filings += int64(len(step.tasks))
	if err := t.addEntities(step.entities); err != nil {
		return err
	}
	for _, m := range []rowMaker{step.sites, step.domains, step.accesses} {
		if err := t.s.e.insertMade(t.ctx, t.conn, t.Tx, m); err != nil {
			return err
		}
	}
	return t.chunksDone(i, len(step.logs), 0)
}

// addEntities adds entities or what is newer of them. Those behind all that are there
// are new: filings come in the order of their numbers, so those are most.
func (t *tx) addEntities(rows [][]any) error {
	known := rows
	if t.s.e.byBytes() {
		var last sql.NullString
		if err := t.row("SELECT max(number) FROM entity").Scan(&last); err != nil {
			return err
		}
		var fresh [][]any
		known = nil
		for _, r := range rows {
			if !last.Valid || r[0].(string) > last.String {
				fresh = append(fresh, r)
			} else {
				known = append(known, r)
			}
		}
		if err := t.insert("entity", entityTable, "", fresh...); err != nil {
			return err
		}
	}
	return t.insert("entity", entityTable, entityConflict, known...)
}

func (p *publisher) stopAhead() {
	if p.ahead != nil {
		p.ahead.stop()
		p.ahead = nil
	}
}
