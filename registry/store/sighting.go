package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Sighting is how often edges blocked a name at an address, or would have, and
// what staff did about it.
type Sighting struct {
	ID          string            `json:"id"`
	Name        registry.Domain   `json:"name"` // registrable; zero where the host is an address or none
	Hosts       []registry.Domain `json:"hosts"`
	Addr        netip.Addr        `json:"addr,omitzero"`
	Reason      registry.Reason   `json:"reason"`
	Channel     registry.Channel  `json:"channel"`
	Mode        registry.Mode     `json:"mode"` // at the last sight
	First, Last time.Time
	Hits        uint64        `json:"hits"`
	State       HandlingState `json:"state"`
	Who         string        `json:"who,omitempty"` // set the state
	At          time.Time     `json:"at,omitzero"`
	Note        string        `json:"note,omitempty"`
}

// HandlingState is what staff did about a sighting. The zero value is none.
type HandlingState string

// The states.
const (
	HandlingOpen       HandlingState = "open"
	HandlingNotified   HandlingState = "notified"    // the site's owner was told
	HandlingFiledSince HandlingState = "filed-since" // a filing has been made
	HandlingClosed     HandlingState = "closed"
)

// HandlingStates lists them.
func HandlingStates() []HandlingState {
	return []HandlingState{HandlingOpen, HandlingNotified, HandlingFiledSince, HandlingClosed}
}

// SightingBatch is what one edge saw since its batch before. Edge, Boot and Seq name
// it: the same again is nothing new.
type SightingBatch struct {
	Edge string // the owner of its token
	Boot string
	Seq  uint64
	Rows []Sighting // Name, Hosts, Addr, Reason, Channel, Mode, First, Last, Hits
	// Other is how many hits found no row.
	Other uint64
}

func (b *SightingBatch) check() error {
	switch {
	case b.Edge == "" || b.Boot == "" || b.Seq == 0 || len(b.Edge)+len(b.Boot) > 512 || b.Seq > 1<<62:
		return fmt.Errorf("%w batch of sightings: edge %q, boot %q, number %d", ErrInvalid, b.Edge, b.Boot, b.Seq)
	case len(b.Rows) > registry.MaxSightings:
		return fmt.Errorf("%w batch of sightings: %d rows; at most %d, the surplus counts as other", ErrInvalid, len(b.Rows), registry.MaxSightings)
	case b.Other > 1<<62:
		return fmt.Errorf("%w batch of sightings: %d other hits", ErrInvalid, b.Other)
	}
	for i := range b.Rows {
		if r := &b.Rows[i]; r.Hits > 1<<40 || r.First.IsZero() || r.Last.Before(r.First) {
			return fmt.Errorf("%w batch of sightings: row %d of %q has %d hits from %s to %s", ErrInvalid, i+1, r.Name, r.Hits, r.First, r.Last)
		}
	}
	return nil
}

// AddSightings takes a batch in; fresh is false if it was taken before. A sighting
// that was closed, or filed since, is open again if it is seen later than that.
func (s *Store) AddSightings(ctx context.Context, b SightingBatch) (fresh bool, err error) {
	if err := b.check(); err != nil {
		return false, err
	}
	rows := joinSightings(b.Rows)
	for try := 0; ; try++ {
		fresh, err = s.addSightings(ctx, &b, rows)
		if err == nil || try == 10 || !s.e.again(err) {
			return fresh, s.failed(err)
		}
	}
}

// joinSightings unites rows of one key and puts them into one order for all
// programs, which keeps them out of each other's way.
func joinSightings(all []Sighting) []Sighting {
	rows := slices.Clone(all)
	for i := range rows {
		rows[i].ID = rows[i].id()
	}
	slices.SortStableFunc(rows, func(a, b Sighting) int { return strings.Compare(a.ID, b.ID) })
	out := rows[:0]
	for _, r := range rows {
		if n := len(out); n > 0 && out[n-1].ID == r.ID {
			p := &out[n-1]
			p.Hits += r.Hits
			p.Hosts = append(slices.Clone(p.Hosts), r.Hosts...)
			if r.First.Before(p.First) {
				p.First = r.First
			}
			if r.Last.After(p.Last) {
				p.Last, p.Mode = r.Last, r.Mode
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// id is that of what makes a sighting another one.
func (r *Sighting) id() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{r.Name.String(), addrText(r.Addr), r.Reason.String(), r.Channel.String()}, "\x00")))
	return hex.EncodeToString(sum[:12])
}

var sightingTable = []string{"id", "name", "addr", "reason", "channel", "mode", "first_seen", "last_seen", "hits", "state", "state_who", "state_note"}

const sightingConflict = `ON CONFLICT (id) DO UPDATE SET hits = sighting.hits + excluded.hits,
	first_seen = CASE WHEN excluded.first_seen < sighting.first_seen THEN excluded.first_seen ELSE sighting.first_seen END,
	last_seen = CASE WHEN excluded.last_seen > sighting.last_seen THEN excluded.last_seen ELSE sighting.last_seen END,
	mode = CASE WHEN excluded.last_seen >= sighting.last_seen THEN excluded.mode ELSE sighting.mode END,
	state = CASE WHEN sighting.state IN ('closed', 'filed-since') AND excluded.last_seen * 1000 > sighting.state_at THEN 'open' ELSE sighting.state END`

func (s *Store) addSightings(ctx context.Context, b *SightingBatch, rows []Sighting) (fresh bool, err error) {
	conn, err := s.w.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	raw, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer raw.Rollback()
	t := &tx{Tx: raw, ctx: ctx, s: s, conn: conn, now: s.o.Now()}
	r, err := raw.ExecContext(ctx, s.e.query("INSERT INTO batch (edge, boot, seq, made_at, row_count, other) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (edge, boot, seq) DO NOTHING"),
		tidy(b.Edge), tidy(b.Boot), int64(b.Seq), t.now.UnixMilli(), int64(len(rows)), int64(b.Other))
	if err != nil {
		return false, err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	var all [][]any
	for i := range rows {
		r := &rows[i]
		all = append(all, []any{r.ID, r.Name.String(), addrText(r.Addr), r.Reason.String(), r.Channel.String(), r.Mode.String(),
			told(r.First.Unix()), told(r.Last.Unix()), int64(r.Hits), string(HandlingOpen), "", ""})
	}
	if err := t.insert("sighting", sightingTable, sightingConflict, all...); err != nil {
		return false, err
	}
	if err := t.addHosts(rows); err != nil {
		return false, err
	}
	return true, s.commit(raw)
}

// addHosts adds hosts until there are enough of each sighting.
func (t *tx) addHosts(rows []Sighting) error {
	there := map[string][]string{}
	for some := range slices.Chunk(rows, inBatch) {
		ids := make([]any, len(some))
		for i := range some {
			ids[i] = some[i].ID
		}
		if err := t.s.hosts(t.ctx, t, ids, there); err != nil {
			return err
		}
	}
	var fresh [][]any
	for i := range rows {
		r := &rows[i]
		known := there[r.ID]
		for _, h := range r.Hosts {
			if text := h.String(); len(known) < registry.MaxSightedHosts && !slices.Contains(known, text) {
				known = append(known, text)
				fresh = append(fresh, []any{r.ID, text})
			}
		}
	}
	return t.insert("sighting_host", []string{"sighting_id", "host"}, "ON CONFLICT (sighting_id, host) DO NOTHING", fresh...)
}

func (s *Store) hosts(ctx context.Context, q querier, ids []any, into map[string][]string) error {
	return s.each(ctx, q, "SELECT sighting_id, host FROM sighting_host WHERE sighting_id IN ("+marks(len(ids))+") ORDER BY sighting_id, host", ids, func(rows *sql.Rows) error {
		var id, host string
		err := rows.Scan(&id, &host)
		into[id] = append(into[id], host)
		return err
	})
}

// SightingQuery selects sightings. The zero value selects the latest hundred.
type SightingQuery struct {
	State HandlingState // Optional
	Name  registry.Domain
	Since time.Time // last seen at it or later
	Limit int       // default 100
	// After continues behind a sighting of an earlier answer.
	After *Sighting
}

// Sightings returns what a query selects, last seen first.
func (s *Store) Sightings(ctx context.Context, q SightingQuery) (list []Sighting, err error) {
	where, args := []string{"1 = 1"}, []any{}
	add := func(condition string, values ...any) { where, args = append(where, condition), append(args, values...) }
	if q.State != "" {
		add("state = ?", string(q.State))
	}
	if !q.Name.IsZero() {
		add("name = ?", q.Name.String())
	}
	if !q.Since.IsZero() {
		add("last_seen >= ?", q.Since.Unix())
	}
	if q.After != nil {
		add("(last_seen < ? OR last_seen = ? AND id > ?)", q.After.Last.Unix(), q.After.Last.Unix(), q.After.ID)
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	err = s.each(ctx, s.r, "SELECT "+strings.Join(sightingTable, ", ")+", state_at FROM sighting WHERE "+strings.Join(where, " AND ")+
		" ORDER BY last_seen DESC, id LIMIT ?", append(args, q.Limit), func(rows *sql.Rows) error {
		r, err := scanSighting(rows)
		list = append(list, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, s.addHostsTo(ctx, list)
}

func (s *Store) addHostsTo(ctx context.Context, list []Sighting) error {
	hosts := map[string][]string{}
	for some := range slices.Chunk(list, inBatch) {
		ids := make([]any, len(some))
		for i := range some {
			ids[i] = some[i].ID
		}
		if err := s.hosts(ctx, s.r, ids, hosts); err != nil {
			return err
		}
	}
	for i := range list {
		list[i].Hosts = []registry.Domain{}
		for _, text := range hosts[list[i].ID] {
			d, err := registry.ParseDNSName(text)
			if err != nil {
				return err
			}
			list[i].Hosts = append(list[i].Hosts, d)
		}
	}
	return nil
}

func scanSighting(rows *sql.Rows) (r Sighting, err error) {
	var name, addr, why, channel, mode, state string
	var first, last, hits int64
	var at sql.NullInt64
	err = rows.Scan(&r.ID, &name, &addr, &why, &channel, &mode, &first, &last, &hits, &state, &r.Who, &r.Note, &at)
	if err != nil {
		return r, err
	}
	r.First, r.Last, r.Hits = fromUnix(first).UTC(), fromUnix(last).UTC(), uint64(hits)
	r.State, r.At = HandlingState(state), unmilli(at)
	var errs [5]error
	if name != "" {
		r.Name, errs[0] = registry.ParseDNSName(name)
	}
	if addr != "" {
		r.Addr, errs[1] = netip.ParseAddr(addr)
	}
	r.Reason, errs[2] = registry.ParseReason(why)
	r.Channel, errs[3] = registry.ParseChannel(channel)
	var p registry.Policy
	errs[4] = p.Set("mode", mode)
	r.Mode = p.Mode
	return r, errors.Join(errs[:]...)
}

// Handle notes what was done about sightings; ErrNotFound if one is not there, and
// then nothing is noted.
func (s *Store) Handle(ctx context.Context, by By, state HandlingState, note string, ids ...string) error {
	if !slices.Contains(HandlingStates(), state) {
		return fmt.Errorf("%w handling state %q; expect %v", ErrInvalid, state, HandlingStates())
	}
	note, err := prose("note", note)
	if err != nil {
		return err
	}
	_, err = s.write(ctx, by, func(t *tx) error {
		for _, id := range ids {
			var was, old string
			err := t.row("SELECT state, state_note FROM sighting WHERE id = ?", id).Scan(&was, &old)
			if errors.Is(err, sql.ErrNoRows) {
				err = fmt.Errorf("sighting %q: %w", id, ErrNotFound)
			}
			if err != nil {
				return err
			}
			if was == string(state) && old == note {
				continue
			}
			t.note("sighting", id, map[string]string{"state": was, "note": old}, map[string]string{"state": string(state), "note": note})
			if err := t.exec("UPDATE sighting SET state = ?, state_who = ?, state_at = ?, state_note = ? WHERE id = ?", string(state), t.by.Who, t.now.UnixMilli(), note, id); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// MarkFiled notes of open and notified sightings of unfiled names that a filing has
// been made under the name since, and returns of how many.
func (s *Store) MarkFiled(ctx context.Context, by By) (n int, err error) {
	_, err = s.write(ctx, by, func(t *tx) error {
		r, err := t.ExecContext(t.ctx, s.e.query(`UPDATE sighting SET state = 'filed-since', state_who = ?, state_at = ?
			WHERE state IN ('open', 'notified') AND reason IN (?, ?) AND EXISTS (SELECT 1 FROM domain d JOIN site s ON s.id = d.site_id
			WHERE d.name = sighting.name AND s.kind = ? AND s.status IN (?, ?))`), t.by.Who, t.now.UnixMilli(),
			registry.Unfiled.String(), registry.Cancelled.String(), int64(registry.KindSite), int64(registry.StatusNormal), int64(registry.StatusChangePending))
		if err != nil {
			return err
		}
		done, err := r.RowsAffected()
		if n = int(done); n > 0 {
			t.note("sighting", "", nil, map[string]int{"filed-since": n})
		}
		return err
	})
	return n, err
}

// Retention is how long sightings are kept unless told otherwise: six months of
// any length. Source: Cybersecurity Law, Article 21 (six months).
const Retention = 184 * 24 * time.Hour

// Purge drops sightings that were last seen more than keep ago, with the batches
// that they came in and exemptions that ended so long ago. It returns how many sightings
// went.
func (s *Store) Purge(ctx context.Context, by By, keep time.Duration) (n int, err error) {
	_, err = s.write(ctx, by, func(t *tx) error {
		before := t.now.Add(-keep)
		if err := t.exec("DELETE FROM sighting_host WHERE sighting_id IN (SELECT id FROM sighting WHERE last_seen < ?)", before.Unix()); err != nil {
			return err
		}
		r, err := t.ExecContext(t.ctx, s.e.query("DELETE FROM sighting WHERE last_seen < ?"), before.Unix())
		if err != nil {
			return err
		}
		gone, err := r.RowsAffected()
		if n = int(gone); err != nil {
			return err
		}
		if err := t.exec("DELETE FROM batch WHERE made_at < ?", before.UnixMilli()); err != nil {
			return err
		}
		ended, err := t.ended(before)
		if err != nil {
			return err
		}
		for i := range ended {
			if err := t.unexempt(&ended[i]); err != nil {
				return err
			}
		}
		if n > 0 {
			t.note("purge", "", map[string]int{"sightings": n}, nil)
		}
		return nil
	})
	return n, err
}

// ended are the exemptions that ended before a time.
func (t *tx) ended(before time.Time) (list []Exemption, err error) {
	err = t.s.each(t.ctx, t, "SELECT "+exemptionColumns+" FROM exemption WHERE until > 0 AND until < ?", []any{before.Unix()}, func(rows *sql.Rows) error {
		x, err := scanExemption(rows)
		list = append(list, x)
		return err
	})
	return list, err
}
