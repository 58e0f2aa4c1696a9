package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// By says who changes the registry, and why. Who and Why must be given.
type By struct {
	Who   string `json:"who"`   // the token or person
	Owner string `json:"owner"` // whose token it is; a confirmation must come from another owner
	Why   string `json:"why,omitempty"`
}

func (b *By) check() error {
	b.Who, b.Owner = mended(b.Who), mended(b.Owner)
	var err error
	if b.Why, err = prose("reason", b.Why); err != nil {
		return err
	}
	switch {
	case b.Who == "":
		return fmt.Errorf("%w: nobody is named who makes the change", ErrInvalid)
	case b.Why == "":
		return fmt.Errorf("%w: no reason is given for the change", ErrInvalid)
	}
	if b.Owner == "" {
		b.Owner = b.Who
	}
	return nil
}

// tx is one transaction that writes. It holds the row of meta, so that all others
// that write wait for it.
type tx struct {
	*sql.Tx
	ctx  context.Context
	s    *Store
	conn *sql.Conn
	by   By
	now  time.Time

	at      registry.Revision // before it
	base    uint64
	lastID  int64
	filings int64

	importID string // the import that the revision is part of
	flips    uint64 // of it, where it was confirmed

	names      map[registry.Domain]bool // whose filings may be others
	addrs      map[netip.Addr]bool
	listed     map[registry.Domain]bool          // what may be listed or not; the value is whether it was before
	entries    map[registry.Entry]registry.Entry // by list and key: what it becomes
	changes    []registry.Change                 // made already, of names that nothing else names
	logs       [][]byte                          // of the revisions of a load, written already
	journal    [][]any
	lists      bool // there are blacklisted entities, once
	askedLists bool
	erased     map[string]bool // the entities whose names are not kept; nil until it is asked
}

// rev is the revision that the transaction makes.
func (t *tx) rev() uint64 { return t.at.Rev + 1 }

// write runs a transaction, again if it only failed because of another one. It
// returns the newest revision, which is the transaction's own if it changed what
// edges follow.
func (s *Store) write(ctx context.Context, by By, do func(*tx) error) (registry.Revision, error) {
	if err := by.check(); err != nil {
		return registry.Revision{}, err
	}
	for try := 0; ; try++ {
		rev, err := s.writeOnce(ctx, by, do)
		if err == nil {
			s.announce(rev)
			return rev, nil
		}
		if try == 10 || !s.e.again(err) {
			return registry.Revision{}, s.failed(err)
		}
	}
}

func (s *Store) writeOnce(ctx context.Context, by By, do func(*tx) error) (registry.Revision, error) {
	conn, err := s.w.Conn(ctx)
	if err != nil {
		return registry.Revision{}, err
	}
	defer conn.Close()
	raw, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return registry.Revision{}, err
	}
	defer raw.Rollback()
	t := &tx{Tx: raw, ctx: ctx, s: s, conn: conn, by: by, now: s.o.Now()}
	if err := t.lock(); err != nil {
		return registry.Revision{}, err
	}
	if err := do(t); err != nil {
		return registry.Revision{}, err
	}
	rev, err := t.finish()
	if err != nil {
		return registry.Revision{}, err
	}
	return rev, s.commit(raw)
}

// commit tells an answer that was lost from one that was no.
func (s *Store) commit(raw *sql.Tx) error {
	err := raw.Commit()
	if err != nil && s.lostAnswer(err) {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}

// lock takes the row of meta.
func (t *tx) lock() error {
	var epochRandom, rev, base int64
	err := t.row("UPDATE meta SET rev = rev WHERE id = 1 RETURNING epoch_made, epoch_random, rev, base, last_id, filings").
		Scan(&t.at.Epoch.Made, &epochRandom, &rev, &base, &t.lastID, &t.filings)
	t.at.Epoch.Random, t.at.Rev, t.base = uint64(epochRandom), uint64(rev), uint64(base)
	if err != nil {
		return err
	}
	return t.live()
}

// live begins a new epoch where the server is another one than before: one that
// was promoted may lack revisions that edges have seen.
func (t *tx) live() error {
	life, err := t.s.e.life(t.ctx, t.Tx)
	if err != nil || life == "" {
		return err
	}
	var was string
	if err := t.row("SELECT life FROM meta WHERE id = 1").Scan(&was); err != nil || was == life {
		return err
	}
	if was != "" {
		if err := t.newEpoch(); err != nil {
			return err
		}
	}
	return t.exec("UPDATE meta SET life = ? WHERE id = 1", life)
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.ExecContext(t.ctx, t.s.e.query(query), args...)
	return err
}

// execIn runs a statement for a list of values, which "%s" stands for.
func (t *tx) execIn(query string, values []any) error {
	for from := 0; from < len(values); from += inBatch {
		some := values[from:min(from+inBatch, len(values))]
		if err := t.exec(fmt.Sprintf(query, marks(len(some))), some...); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) row(query string, args ...any) *sql.Row {
	return t.QueryRowContext(t.ctx, t.s.e.query(query), args...)
}

func (t *tx) insert(name string, columns []string, conflict string, rows ...[]any) error {
	if len(rows) == 0 {
		return nil
	}
	return t.s.e.insert(t.ctx, t.conn, t.Tx, &table{name, columns, conflict, rows})
}

// id gives the next id.
func (t *tx) id() int64 {
	t.lastID++
	return t.lastID
}

// note writes the journal: was and becomes are shown as JSON, nil is nothing.
func (t *tx) note(what, key string, was, becomes any) {
	t.journal = append(t.journal, []any{int64(0), t.now.UnixMilli(), nil, t.by.Who, t.by.Owner, t.by.Why, what, key, shown(was), shown(becomes)})
}

// shown is the JSON of what the journal holds; nil is nothing.
func shown(v any) string {
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%q", err.Error()) // no type of the journal has such a value
	}
	return string(b)
}

var (
	journalTable  = []string{"id", "made_at", "rev", "who", "owner", "why", "what", "key", "was", "becomes"}
	revisionTable = []string{"rev", "made_at", "who", "owner", "why", "import_id", "flips"}
	changeTable   = []string{"rev", "seq", "body"}
)

// finish writes the log, the journal and the row of meta.
func (t *tx) finish() (registry.Revision, error) {
	body, ops, err := t.operations()
	if err != nil {
		return t.at, err
	}
	logs := t.logs
	if ops > 0 {
		logs = append(logs, body)
	}
	after := t.at
	var revisions, changes [][]any
	for _, body := range logs {
		after.Rev++
		revisions = append(revisions, []any{int64(after.Rev), t.now.UnixMilli(), t.by.Who, t.by.Owner, t.by.Why, nullText(t.importID), int64(t.flips)})
		changes = append(changes, []any{int64(after.Rev), int64(0), body})
	}
	if err := t.insert("revision", revisionTable, "", revisions...); err != nil {
		return t.at, err
	}
	if err := t.insert("change", changeTable, "", changes...); err != nil {
		return t.at, err
	}
	for _, row := range t.journal {
		row[0] = t.id()
		if len(logs) > 0 {
			row[2] = int64(after.Rev)
		}
	}
	if err := t.insert("journal", journalTable, "", t.journal...); err != nil {
		return t.at, err
	}
	err = t.exec("UPDATE meta SET rev = ?, last_id = ?, filings = ? WHERE id = 1", int64(after.Rev), t.lastID, t.filings)
	return after, err
}
