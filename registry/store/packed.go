package store

import (
	"bytes"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// packing are queries that give many rows as one, their columns one behind the other
// with a zero byte behind each, which no text of the database holds: where a column
// that is handed over costs more than what is in it. Each query is for sites of ids
// after one and up to another.
type packing struct {
	sites    string // sitesFields; the third argument is how many at most
	domains  string // site_id, name
	accesses string // site_id, provider, status, at
}

// sqlitePacking: the driver takes about 0.15 µs for each column of each row.
var sqlitePacking = &packing{
	sites: `SELECT CAST(group_concat(x, '' ORDER BY id) AS BLOB) FROM (SELECT id, id || char(0) || (kind | (nature << 8) | (status << 16) | (restricted << 24) | (accesses_known << 25)) || char(0)
			|| ifnull(filed_at, '') || char(0) || ifnull(updated_at, '') || char(0) || number || char(0) || ifnull(entity_number, '') || char(0)
			|| entity_name || char(0) || name || char(0) || CASE WHEN addr IS NULL AND filed_addr IS NULL AND covers = '' THEN ''
			ELSE ifnull(addr, '') || '|' || ifnull(filed_addr, '') || '|' || covers END || char(0) AS x
		FROM site WHERE id > ? AND id <= ? ORDER BY id LIMIT ?)`,
	domains: `SELECT CAST(group_concat(x, '' ORDER BY site_id, pos) AS BLOB)
		FROM (SELECT site_id, pos, site_id || char(0) || name || char(0) AS x FROM domain WHERE site_id > ? AND site_id <= ?)`,
	accesses: `SELECT CAST(group_concat(x, '' ORDER BY site_id, pos) AS BLOB)
		FROM (SELECT site_id, pos, site_id || char(0) || provider || char(0) || status || char(0) || at || char(0) AS x FROM access WHERE site_id > ? AND site_id <= ?)`,
}

// sitesFields is how many fields packing.sites gives of each site.
const sitesFields = 9

// unpacking reads filings without personal data, which stands in columns of its own
// that are not read. It is for one goroutine.
type unpacking struct {
	v         *View
	q         *packing
	list      []record // sites of one query
	providers map[string]registry.ProviderID
}

// between is View.between.
func (u *unpacking) between(after, upTo int64, f func(*record) error) error {
	for {
		last, err := u.after(after, upTo)
		if err != nil || len(u.list) == 0 {
			return err
		}
		for i := range u.list {
			if err := f(&u.list[i]); err != nil {
				return err
			}
		}
		after = last
	}
}

func (u *unpacking) after(id, upTo int64) (last int64, err error) {
	clear(u.list)
	u.list = u.list[:0]
	if err := u.each(u.q.sites, u.site, id, upTo, scanned); err != nil || len(u.list) == 0 {
		return id, err
	}
	last = u.list[len(u.list)-1].id
	if err := u.parts(u.q.domains, u.domain, id, last); err != nil {
		return last, err
	}
	return last, u.parts(u.q.accesses, u.access, id, last)
}

// each calls f with what is left of the packed rows until nothing is.
func (u *unpacking) each(query string, f func(*fields) error, args ...any) error {
	return u.v.s.each(u.v.ctx, u.v.tx, query, args, func(rows *sql.Rows) error {
		var raw sql.RawBytes
		if err := rows.Scan(&raw); err != nil {
			return err
		}
		x := fields{b: raw}
		for len(x.b) > 0 {
			if err := f(&x); err != nil {
				return err
			}
			if x.bad {
				return errBytes
			}
		}
		return nil
	})
}

// parts gives the parts of the sites to f, in the order of both.
func (u *unpacking) parts(query string, f func(*fields, *record) error, after, last int64) error {
	at := 0
	return u.each(query, func(x *fields) error {
		id := x.int()
		for at < len(u.list) && u.list[at].id < id {
			at++
		}
		if at == len(u.list) || u.list[at].id != id {
			return fmt.Errorf("a part of filing %d, which is not there: %w", id, errBytes)
		}
		return f(x, &u.list[at])
	}, after, last)
}

func (u *unpacking) site(x *fields) error {
	u.list = append(u.list, record{})
	r := &u.list[len(u.list)-1]
	t := x.texts(sitesFields) // one string, of which its texts are parts
	f := &r.f
	r.id = t.int()
	if n := len(u.list); n > 1 && u.list[n-2].id >= r.id {
		x.bad = true // they come in their order
	}
	small := t.int()
	f.Site.Kind, f.Entity.Nature, f.Status = registry.Kind(small), registry.Nature(small>>8), registry.Status(small>>16)
	f.Restricted, f.AccessesKnown = small>>24&1 != 0, small>>25&1 != 0
	f.Site.FiledAt, f.UpdatedAt = timeOf(t.nullInt()), timeOf(t.nullInt())
	number, entity := t.next(), t.next()
	f.Entity.Name, f.Site.Name = t.next(), t.next()
	var addr, filedAddr, covers string
	if rare := t.next(); rare != "" {
		addr, covers, _ = strings.Cut(rare, "|")
		filedAddr, covers, _ = strings.Cut(covers, "|")
	}
	if covers != "" {
		f.Covers = strings.Split(covers, " ")
	}
	x.bad = x.bad || t.bad
	r.key = number // for errors
	return r.parse(number, entity, addr, filedAddr)
}

func (*unpacking) domain(x *fields, r *record) error { return r.addDomain(string(x.next())) }

func (u *unpacking) access(x *fields, r *record) error {
	a := registry.Access{Provider: u.provider(x.next()), Status: registry.AccessStatus(x.int()), At: told(x.int())}
	r.f.Accesses = append(r.f.Accesses, a)
	return nil
}

// provider keeps each id of a provider once.
func (u *unpacking) provider(id []byte) registry.ProviderID {
	p, known := u.providers[string(id)]
	if !known {
		p = registry.ProviderID(id)
		if u.providers == nil {
			u.providers = map[string]registry.ProviderID{}
		}
		u.providers[string(id)] = p
	}
	return p
}

// fields are the columns of packed rows. What is not there reads as empty and sets
// bad, which stays.
type fields struct {
	b   []byte
	bad bool
}

func (x *fields) next() []byte {
	i := bytes.IndexByte(x.b, 0)
	if i < 0 {
		x.bad, x.b = true, nil
		return nil
	}
	f := x.b[:i]
	x.b = x.b[i+1:]
	return f
}

func (x *fields) int() int64 {
	v, err := strconv.ParseInt(string(x.next()), 10, 64)
	x.bad = x.bad || err != nil
	return v
}

// texts takes the next n fields as one string.
func (x *fields) texts(n int) texts {
	from := x.b
	for range n {
		x.next()
	}
	return texts{s: string(from[:len(from)-len(x.b)])}
}

// texts are fields of which each is a part of one string.
type texts struct {
	s   string
	bad bool
}

func (t *texts) next() (f string) {
	var ok bool
	f, t.s, ok = strings.Cut(t.s, "\x00")
	t.bad = t.bad || !ok
	return f
}

func (t *texts) int() int64 {
	v, err := strconv.ParseInt(t.next(), 10, 64)
	t.bad = t.bad || err != nil
	return v
}

// nullInt reads an empty field as NULL.
func (t *texts) nullInt() (n sql.NullInt64) {
	f := t.next()
	if f == "" {
		return n
	}
	v, err := strconv.ParseInt(f, 10, 64)
	t.bad = t.bad || err != nil
	return sql.NullInt64{Int64: v, Valid: true}
}
