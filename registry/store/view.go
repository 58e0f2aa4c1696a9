package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// View is the whole registry at one revision, while others go on. It is valid
// during the call that it is made for, for one goroutine.
type View struct {
	ctx context.Context
	s   *Store
	tx  *sql.Tx
	// Revision is what the view shows.
	Revision registry.Revision
	// Key is the secret of the snapshot's fingerprints; it belongs to the epoch.
	Key [16]byte
	// Count is how many filings there are.
	Count int

	lastID  int64
	helpers []*sql.Tx // see the same
}

// View calls do with the registry as it is now.
func (s *Store) View(ctx context.Context, do func(*View) error) error {
	tx, err := s.r.BeginTx(ctx, s.e.reading())
	if err != nil {
		return err
	}
	defer tx.Rollback()
	v := &View{ctx: ctx, s: s, tx: tx}
	if v.Revision, _, err = s.where(ctx, tx); err != nil {
		return err
	}
	var key []byte
	if err := tx.QueryRowContext(ctx, "SELECT snapshot_key, filings, last_id FROM meta WHERE id = 1").Scan(&key, &v.Count, &v.lastID); err != nil {
		return err
	}
	copy(v.Key[:], key)
	return do(v)
}

// ViewShared is View with more connections to read by, if they can be had at once:
// for FilingsShared.
func (s *Store) ViewShared(ctx context.Context, do func(*View) error) error {
	return s.View(ctx, func(v *View) error {
		for range min(runtime.GOMAXPROCS(0), s.o.Readers) - 1 {
			end, err := v.help()
			if err != nil {
				break // one reads alone then
			}
			defer end()
		}
		return do(v)
	})
}

// helpPatience is how long a view waits for one more connection.
const helpPatience = 100 * time.Millisecond

// help adds a connection that sees what the view does: nothing that is filed
// changes without a revision.
func (v *View) help() (end func(), err error) {
	short, cancel := context.WithTimeout(v.ctx, helpPatience)
	defer cancel()
	conn, err := v.s.r.Conn(short)
	if err != nil {
		return nil, err
	}
	tx, err := conn.BeginTx(v.ctx, v.s.e.reading())
	if err != nil {
		conn.Close()
		return nil, err
	}
	end = func() { tx.Rollback(); conn.Close() }
	rev, _, err := v.s.where(v.ctx, tx)
	if err == nil && rev != v.Revision {
		err = errors.New("the registry has changed meanwhile")
	}
	if err != nil {
		end()
		return nil, err
	}
	v.helpers = append(v.helpers, tx)
	return end, nil
}

// FilingsShared is Filings by several goroutines, each of which calls an f of its
// own, which adder makes.
func (v *View) FilingsShared(adder func() func(registry.Filing) error) error {
	txs := append([]*sql.Tx{v.tx}, v.helpers...)
	failed := make([]error, len(txs))
	var next atomic.Int64
	var work sync.WaitGroup
	for i, tx := range txs {
		read, f := (&View{ctx: v.ctx, s: v.s, tx: tx}).reader(), adder()
		work.Go(func() {
			for failed[i] == nil {
				from := (next.Add(1) - 1) * rangeOfIDs
				if from > v.lastID {
					return
				}
				failed[i] = read(from, from+rangeOfIDs, func(r *record) error { return f(r.public()) })
			}
			next.Store(v.lastID) // the others need not go on
		})
	}
	work.Wait()
	return errors.Join(failed...)
}

// rangeOfIDs is how many ids one goroutine takes at a time.
const rangeOfIDs = 50_000

// Filings calls f with every filing, without personal data, in the order in which
// they were made. f may keep it.
func (v *View) Filings(f func(registry.Filing) error) error {
	return v.reader()(0, math.MaxInt64, func(r *record) error { return f(r.public()) })
}

// Records calls f with every filing, in the order in which they were made, with the
// names of individuals: it is for those who may see them.
func (v *View) Records(f func(Record) error) error {
	return v.between(siteColumns, 0, math.MaxInt64, func(r *record) error { return f(Record{r.key, r.rev, r.f}) })
}

// scanned is how many filings are read at a time.
const scanned = 2000

// reader returns what calls f with the filings of ids after one and up to another,
// without personal data; it is for one goroutine.
func (v *View) reader() func(after, upTo int64, f func(*record) error) error {
	if q := v.s.e.packing(); q != nil {
		return (&unpacking{v: v, q: q}).between
	}
	return func(after, upTo int64, f func(*record) error) error { return v.between(publicColumns, after, upTo, f) }
}

// publicColumns are siteColumns without what would only be opened to be left out.
var publicColumns = strings.Replace(siteColumns, "s.sealed_name", "NULL", 1)

// between calls f with the filings of ids after one and up to another; the first
// id is 1.
func (v *View) between(columns string, after, upTo int64, f func(*record) error) error {
	for {
		list, last, err := v.after(columns, after, upTo)
		if err != nil {
			return err
		}
		for _, r := range list {
			if err := f(r); err != nil {
				return err
			}
		}
		if len(list) == 0 {
			return nil
		}
		after = last
	}
}

// after reads the filings that follow an id. Their parts are read by ranges of
// ids: lists of ids cost more.
func (v *View) after(columns string, id, upTo int64) (list []*record, last int64, err error) {
	list, err = v.s.querySites(v.ctx, v.tx, "SELECT "+columns+" FROM site s WHERE s.id > ? AND s.id <= ? ORDER BY s.id LIMIT ?", []any{id, upTo, scanned})
	if err != nil || len(list) == 0 {
		return nil, id, err
	}
	last = list[len(list)-1].id
	at := 0
	of := func(id int64) (*record, error) {
		for at < len(list) && list[at].id < id {
			at++
		}
		if at == len(list) || list[at].id != id {
			return nil, fmt.Errorf("a part of filing %d, which is not there: %w", id, errBytes)
		}
		return list[at], nil
	}
	err = v.s.each(v.ctx, v.tx, "SELECT site_id, name FROM domain WHERE site_id > ? AND site_id <= ? ORDER BY site_id, pos", []any{id, last}, func(rows *sql.Rows) error {
		var site int64
		var name string
		if err := rows.Scan(&site, &name); err != nil {
			return err
		}
		r, err := of(site)
		if err != nil {
			return err
		}
		return r.addDomain(name)
	})
	if err != nil {
		return nil, last, err
	}
	at = 0
	err = v.s.each(v.ctx, v.tx, "SELECT site_id, provider, status, at FROM access WHERE site_id > ? AND site_id <= ? ORDER BY site_id, pos", []any{id, last}, func(rows *sql.Rows) error {
		var site int64
		var a registry.Access
		if err := scanAccess(rows, &site, &a); err != nil {
			return err
		}
		r, err := of(site)
		if err == nil {
			r.f.Accesses = append(r.f.Accesses, a)
		}
		return err
	})
	return list, last, err
}

// Blacklist calls f with every name on the blacklist, those of entities included,
// each once, in the order of names. The joins are written in the order in which
// SQLite is to make them: from the few entities, and not from all domains.
func (v *View) Blacklist(f func(registry.Domain) error) error {
	return v.s.each(v.ctx, v.tx, `SELECT name FROM blacklist UNION
		SELECT d.name FROM entity e CROSS JOIN site s CROSS JOIN domain d
		WHERE e.listed_why IS NOT NULL AND s.entity_number = e.number AND d.site_id = s.id
		ORDER BY 1`, nil, func(rows *sql.Rows) error {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		d, err := registry.ParseDomain(name)
		if err != nil {
			return err
		}
		return f(d)
	})
}

// Record is a filing with the revision that made it what it is. Its entity's name
// is given although it may be personal: it is for those who may see that.
type Record struct {
	Key    string
	Rev    uint64
	Filing registry.Filing
}

func recordsOf(list []*record) (all []Record) {
	for _, r := range list {
		all = append(all, Record{r.key, r.rev, r.f})
	}
	return all
}

// Filings returns the filings under exactly this name, by their keys.
func (s *Store) Filings(ctx context.Context, d registry.Domain) ([]Record, error) {
	under, err := s.filingsUnder(ctx, s.r, []registry.Domain{d})
	return recordsOf(under[d]), err
}

// FilingsAt returns the filings of an address.
func (s *Store) FilingsAt(ctx context.Context, a netip.Addr) ([]Record, error) {
	a = a.Unmap().WithZone("")
	at, err := s.filingsAt(ctx, s.r, []netip.Addr{a})
	return recordsOf(at[a]), err
}

// Filing returns the filing of a key, or ErrNotFound.
func (s *Store) Filing(ctx context.Context, key string) (Record, error) {
	list, err := s.loadSites(ctx, s.r, "s.key IN (%s)", []any{key})
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("filing %q: %w", key, ErrNotFound)
	}
	if err != nil {
		return Record{}, err
	}
	return recordsOf(list)[0], nil
}

// Find returns the filings that a text names: a site or entity number, a name or
// an address. None is no error.
func (s *Store) Find(ctx context.Context, text string) ([]Record, error) {
	if n, _, err := registry.ParseNumber(text); err == nil {
		column := "s.key IN (%s)"
		if !n.HasOrdinal() {
			column = "s.entity_number IN (%s)"
		}
		list, err := s.loadSites(ctx, s.r, column, []any{n.String()})
		return recordsOf(unique(list)), err
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return s.FilingsAt(ctx, a)
	}
	if list, err := s.loadSites(ctx, s.r, "s.key IN (%s)", []any{text}); err != nil || len(list) > 0 {
		return recordsOf(list), err
	}
	d, err := registry.ParseDomain(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %q is no filing number, name or address", ErrInvalid, text)
	}
	return s.Filings(ctx, d)
}
