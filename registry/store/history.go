package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Event is one entry of the journal: who did what, when and why, and what it was
// before and after. Personal data is not in it.
type Event struct {
	ID     int64           `json:"id,omitempty"`  // in the journal; 0 for what a filing was
	Rev    uint64          `json:"rev,omitempty"` // 0 where it is part of no revision
	At     time.Time       `json:"at"`
	Who    string          `json:"who"`
	Owner  string          `json:"owner"`
	Why    string          `json:"why"`
	Import string          `json:"import,omitempty"`
	What   string          `json:"what"` // filing, blacklist, exemptions …
	Key    string          `json:"key"`
	Was    json.RawMessage `json:"was,omitempty"` // absent: there was nothing
	Is     json.RawMessage `json:"is,omitempty"`  // absent: it was removed
}

// History returns what became of a filing number, a name or an address since the
// registry was begun, the oldest first: of its filings, on the blacklist, in
// exemptions and other lists.
func (s *Store) History(ctx context.Context, text string) ([]Event, error) {
	keys, err := s.keysOf(ctx, text)
	if err != nil {
		return nil, err
	}
	var events []Event
	for _, key := range keys {
		list, err := s.historyOf(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("history of %q: %w", key, err)
		}
		events = append(events, list...)
	}
	list, err := s.Journal(ctx, JournalQuery{Keys: []string{text, "*." + text}})
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.What != whatFiling { // what filings were is told already, by imports too
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Rev, b.Rev)) })
	return events, nil
}

// keysOf returns the keys of all filings that ever stood under a text.
func (s *Store) keysOf(ctx context.Context, text string) (keys []string, err error) {
	list, err := s.Find(ctx, text)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		keys = append(keys, r.Key)
	}
	number := text
	if n, _, err := registry.ParseNumber(text); err == nil {
		number = n.String()
	}
	name := text
	if d, err := registry.ParseDomain(text); err == nil {
		name = d.String()
	}
	err = s.each(ctx, s.r, "SELECT key FROM past WHERE key = ? UNION SELECT key FROM past_name WHERE name = ?", []any{number, name}, func(rows *sql.Rows) error {
		var key string
		err := rows.Scan(&key)
		keys = append(keys, key)
		return err
	})
	slices.Sort(keys)
	return slices.Compact(keys), err
}

// state is what a filing was from one revision until another one.
type state struct {
	since, until uint64 // until 0: it still is
	f            registry.Filing
}

func (s *Store) historyOf(ctx context.Context, key string) ([]Event, error) {
	states, err := s.statesOf(ctx, key)
	if err != nil {
		return nil, err
	}
	began, ended := map[uint64]*registry.Filing{}, map[uint64]*registry.Filing{}
	var revs []any
	for i := range states {
		began[states[i].since] = &states[i].f
		revs = append(revs, int64(states[i].since))
		if until := states[i].until; until > 0 {
			ended[until] = &states[i].f
			revs = append(revs, int64(until))
		}
	}
	return s.eventsAt(ctx, revs, func(e *Event) {
		e.What, e.Key = whatFiling, key
		if f := ended[e.Rev]; f != nil {
			e.Was = json.RawMessage(shown(ViewOf(f)))
		}
		if f := began[e.Rev]; f != nil {
			e.Is = json.RawMessage(shown(ViewOf(f)))
		}
	})
}

func (s *Store) statesOf(ctx context.Context, key string) (states []state, err error) {
	err = s.each(ctx, s.r, "SELECT since, until, state FROM past WHERE key = ? ORDER BY until", []any{key}, func(rows *sql.Rows) error {
		var one state
		var since, until int64
		var body []byte
		if err := rows.Scan(&since, &until, &body); err != nil {
			return err
		}
		d := decoder{b: body}
		one.since, one.until, one.f = uint64(since), uint64(until), d.filing()
		states = append(states, one)
		return d.whole()
	})
	if err != nil {
		return nil, err
	}
	now, err := s.loadSites(ctx, s.r, "s.key IN (%s)", []any{key})
	for _, r := range now {
		states = append(states, state{since: r.rev, f: r.public()})
	}
	return states, err
}

// eventsAt makes an event of each revision.
func (s *Store) eventsAt(ctx context.Context, revs []any, fill func(*Event)) (events []Event, err error) {
	seen := map[uint64]bool{}
	for from := 0; from < len(revs); from += inBatch {
		some := revs[from:min(from+inBatch, len(revs))]
		err := s.each(ctx, s.r, "SELECT rev, made_at, who, owner, why, import_id FROM revision WHERE rev IN ("+marks(len(some))+") ORDER BY rev", some, func(rows *sql.Rows) error {
			var rev, at int64
			var e Event
			var id sql.NullString
			err := rows.Scan(&rev, &at, &e.Who, &e.Owner, &e.Why, &id)
			e.Rev, e.At, e.Import = uint64(rev), fromMilli(at), id.String
			if fill(&e); !seen[e.Rev] {
				events = append(events, e)
			}
			seen[e.Rev] = true
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return events, nil
}

// JournalQuery selects entries of the journal. The zero value selects the newest
// hundred.
type JournalQuery struct {
	Keys   []string  // of these; all if there is none
	Since  time.Time // not before this
	Until  time.Time // before this; zero: to the newest
	Who    string    // by this token or person, or owner; "" is all
	What   string    // of this kind, such as "filing"; "" is all
	Before int64     // an id: only older entries
	Limit  int       // default 100; 0 with Keys is all
}

// Journal returns what was done, the newest first: to filings by people, by imports
// as a whole, and to all else.
func (s *Store) Journal(ctx context.Context, q JournalQuery) (events []Event, err error) {
	where, args := []string{"1 = 1"}, []any{}
	if len(q.Keys) > 0 {
		where = append(where, "key IN ("+marks(len(q.Keys))+")")
		for _, k := range q.Keys {
			args = append(args, k)
		}
	} else if q.Limit == 0 {
		q.Limit = 100
	}
	if !q.Since.IsZero() {
		where, args = append(where, "made_at >= ?"), append(args, q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		where, args = append(where, "made_at < ?"), append(args, q.Until.UnixMilli())
	}
	if q.Who != "" {
		where, args = append(where, "(who = ? OR owner = ?)"), append(args, q.Who, q.Who)
	}
	if q.What != "" {
		where, args = append(where, "what = ?"), append(args, q.What)
	}
	if q.Before > 0 {
		where, args = append(where, "id < ?"), append(args, q.Before)
	}
	query := "SELECT id, made_at, rev, who, owner, why, what, key, was, becomes FROM journal WHERE " + strings.Join(where, " AND ") + " ORDER BY id DESC"
	if q.Limit > 0 {
		query, args = query+" LIMIT ?", append(args, q.Limit)
	}
	err = s.each(ctx, s.r, query, args, func(rows *sql.Rows) error {
		var e Event
		var at int64
		var rev sql.NullInt64
		var was, is string
		err := rows.Scan(&e.ID, &at, &rev, &e.Who, &e.Owner, &e.Why, &e.What, &e.Key, &was, &is)
		e.At, e.Rev = fromMilli(at), uint64(rev.Int64)
		e.Was, e.Is = raw(was), raw(is)
		events = append(events, e)
		return err
	})
	return events, err
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

// FilingView is a filing as JSON shows it, with the keys of import rows.
type FilingView struct {
	Domains      []registry.Domain `json:"domains,omitempty"`
	Number       registry.Number   `json:"number,omitzero"`
	EntityNumber registry.Number   `json:"entity_number,omitzero"`
	EntityName   string            `json:"entity_name,omitempty"`
	EntityNature registry.Nature   `json:"entity_nature,omitzero"`
	SiteName     string            `json:"site_name,omitempty"`
	Kind         registry.Kind     `json:"kind"`
	Status       registry.Status   `json:"status"`
	FiledAt      time.Time         `json:"filed_at,omitzero"`
	UpdatedAt    time.Time         `json:"updated_at,omitzero"`
	Restricted   bool              `json:"restricted,omitempty"`
	Accesses     *[]AccessView     `json:"accesses,omitempty"` // absent: unknown
	Covers       []string          `json:"covers,omitempty"`
	Address      string            `json:"address,omitempty"`
	FiledIP      string            `json:"filed_ip,omitempty"`
}

// AccessView is an access as JSON shows it.
type AccessView struct {
	Provider   registry.ProviderID   `json:"provider"`
	Status     registry.AccessStatus `json:"status"`
	AccessedAt time.Time             `json:"accessed_at,omitzero"`
}

// ViewOf returns the view of a filing.
func ViewOf(f *registry.Filing) FilingView {
	v := FilingView{
		Domains: f.Site.Domains, Number: f.Site.Number, EntityNumber: f.Entity.Number, EntityName: f.Entity.Name,
		EntityNature: f.Entity.Nature, SiteName: f.Site.Name, Kind: f.Site.Kind, Status: f.Status, FiledAt: f.Site.FiledAt,
		UpdatedAt: f.UpdatedAt, Restricted: f.Restricted, Covers: f.Covers, Address: addrText(f.Addr), FiledIP: addrText(f.FiledAddr),
	}
	if !f.AccessesKnown {
		return v
	}
	list := make([]AccessView, len(f.Accesses))
	for i, a := range f.Accesses {
		list[i] = AccessView{Provider: a.Provider, Status: a.Status}
		if a.At != 0 {
			list[i].AccessedAt = fromUnix(a.At)
		}
	}
	v.Accesses = &list
	return v
}
