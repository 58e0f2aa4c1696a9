package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Part is what an import may change. The zero value is PartAll.
type Part uint8

// The parts. The ministry's public query tells filings and no accesses, a
// provider's own system its accesses: neither may undo what the other told.
const (
	PartAll      Part = iota // filings and, where rows state them, accesses
	PartFilings              // filings; accesses stay as they are
	PartAccesses             // accesses of filings that are there
)

var partWords = []string{"all", "filings", "accesses"}

// String returns the word of p, for example "filings".
func (p Part) String() string {
	if int(p) < len(partWords) {
		return partWords[p]
	}
	return fmt.Sprintf("Part(%d)", uint8(p))
}

// ParsePart reads the word of a part.
func ParsePart(s string) (Part, error) {
	for i, w := range partWords {
		if s == w {
			return Part(i), nil
		}
	}
	return 0, fmt.Errorf("unknown part %q; expect %s", s, strings.Join(partWords, ", "))
}

// MarshalText writes the word of p.
func (p Part) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Part) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePart(string(b))
	return err
}

// ImportOptions say what an import means. The zero value is an increment: what it
// tells is added or changed, all else stays.
type ImportOptions struct {
	Source string `json:"source"` // where the rows are from, for people
	Part   Part   `json:"part"`
	// Complete: the rows are all there are, so that filings which they do not name
	// are cancelled; of PartAccesses, the accesses with Provider.
	Complete bool                `json:"complete"`
	Provider registry.ProviderID `json:"provider,omitempty"`
	// Remove takes the filings that a complete file does not name out of the registry
	// in place of marking them as cancelled.
	Remove bool `json:"remove,omitempty"`
	// AllowShrink takes a complete file that names less than half of what is there.
	// A second person has to confirm it all the same.
	AllowShrink bool `json:"allow_shrink,omitempty"`

	// ID names the import: 16 hexadecimal digits that its maker chooses, so that who
	// has lost an answer finds what was made. Optional.
	ID string `json:"-"`
	// DryRun only counts; nothing is staged.
	DryRun bool `json:"-"`
	// Refused is called with every filing that cannot be taken and why. Calls may come
	// from several goroutines, one at a time. Optional.
	Refused func(f *registry.Filing, err error) `json:"-"`
	// Progress is called now and then with what is done, one call at a time. Optional.
	Progress func(ImportProgress) `json:"-"`
}

// ImportProgress is how far an import is: Done of Of, where Of is known.
type ImportProgress struct {
	Step string // comparing, staging, publishing
	Done int
	Of   int
}

func (o *ImportOptions) check() error {
	switch {
	case o.ID != "" && (len(o.ID) != 16 || strings.Trim(o.ID, "0123456789abcdef") != ""):
		return fmt.Errorf("%w import: id %q; expect 16 hexadecimal digits in lower case", ErrInvalid, o.ID)
	case o.Part > PartAccesses:
		return fmt.Errorf("%w import: unknown part %d", ErrInvalid, o.Part)
	case o.Part == PartAccesses && o.Complete && o.Provider == "":
		return fmt.Errorf("%w import: a complete list of accesses is one provider's; name it", ErrInvalid)
	case o.Part != PartAccesses && o.Provider != "":
		return fmt.Errorf("%w import: a provider is only named for a list of accesses", ErrInvalid)
	case o.Remove && !o.Complete:
		return fmt.Errorf("%w import: only a complete file tells what to remove", ErrInvalid)
	}
	var err error
	o.Source, err = prose("source of the import", o.Source)
	return err
}

// ImportState is how far an import is. The zero value is none.
type ImportState string

// The states. From staged on, all that is to be done stands in the database.
const (
	ImportStaging    ImportState = "staging"    // being read and compared
	ImportStaged     ImportState = "staged"     // ready to be published
	ImportWaiting    ImportState = "waiting"    // a second person must confirm it
	ImportPublishing ImportState = "publishing" // some of its revisions are made
	ImportDone       ImportState = "done"
	ImportDropped    ImportState = "dropped" // given up before anything was published
)

// Counts are what an import does, in filings.
type Counts struct {
	Before    int `json:"before"` // filings that were there and not cancelled
	Read      int `json:"read"`   // filings in the files
	Added     int `json:"added"`
	Changed   int `json:"changed"`
	Cancelled int `json:"cancelled"` // because a complete file does not name them
	Unchanged int `json:"unchanged"`
	Refused   int `json:"refused"`
	Flips     int `json:"flips"`   // removed, or judged otherwise by some edge
	Skipped   int `json:"skipped"` // others changed them since the comparison, and that stays
	// Lately is how many other imports of the same owner have flipped within a day
	// without a second person's word: together they are one change.
	Lately int `json:"lately,omitempty"`
	// Fresh are those of Added whose names nothing else has.
	Fresh int `json:"fresh"`
}

// Import is one import as the registry keeps it.
type Import struct {
	ID      string        `json:"id"`
	Made    time.Time     `json:"made"`
	By      By            `json:"by"`
	Options ImportOptions `json:"options"`
	State   ImportState   `json:"state"`
	Base    uint64        `json:"base"` // the revision that it was compared with
	Counts  Counts        `json:"counts"`
	Chunks  int           `json:"chunks"` // revisions that it takes at most
	Done    int           `json:"done"`
	// First and Last are its revisions; 0 before the first.
	First       uint64 `json:"first,omitempty"`
	Last        uint64 `json:"last,omitempty"`
	ConfirmedBy By     `json:"confirmed_by,omitzero"`
	Undoes      string `json:"undoes,omitempty"`
}

// is refuses what cannot be done with an import in its state.
func (i *Import) is() error { return fmt.Errorf("%w: import %q is %s", ErrInvalid, i.ID, i.State) }

// Errors of imports.
var (
	// ErrWaiting: a second person must confirm the import first.
	ErrWaiting = errors.New("the import waits for the confirmation of a second person")
	// ErrRefused: the import as a whole is refused, and nothing is staged.
	ErrRefused = errors.New("the import is refused")
	// ErrUnfinished: another import is only partly published.
	ErrUnfinished = errors.New("an import is only partly published; resume it first")
)

// chunkOperations is how many operations a revision of an import has at most, but
// for a single site with more names. Where the import is no load of an empty
// registry, edges follow and others change something meanwhile: smaller revisions
// let them through.
const (
	chunkOperations     = 2000
	chunkOperationsLive = 200
)

// load reports whether most of the registry is what the import adds.
func (c *Counts) load() bool { return c.Fresh >= manyFresh && c.Before*4 <= c.Fresh }

func (c *Counts) chunk() int {
	if c.load() {
		return chunkOperations
	}
	return chunkOperationsLive
}

// refuse reports why the import is refused as a whole.
func (o *ImportOptions) refuse(c *Counts) error {
	if !o.Complete {
		return nil
	}
	switch {
	case c.Read == 0:
		return fmt.Errorf("%w: the files hold no filing, and a complete list without any would end all %d that are there; see whether it is the right file, and whole. Such a list is never taken", ErrRefused, c.Before)
	case c.Read*2 < c.Before && !o.AllowShrink:
		return fmt.Errorf("%w: the files hold %d filings and the registry %d; see whether the file is whole. If so many are to end, say so with allow_shrink (--allow-shrink); a second person has to approve it then", ErrRefused, c.Read, c.Before)
	}
	return nil
}

const importColumns = `id, made_at, who, owner, why, options, state, base, counts, chunks, done, first_rev, last_rev, confirmed_who, confirmed_owner, undoes`

func scanImport(rows *sql.Rows) (i Import, err error) {
	var made, base int64
	var options, counts string
	var first, last sql.NullInt64
	err = rows.Scan(&i.ID, &made, &i.By.Who, &i.By.Owner, &i.By.Why, &options, &i.State, &base, &counts, &i.Chunks, &i.Done,
		&first, &last, &i.ConfirmedBy.Who, &i.ConfirmedBy.Owner, &i.Undoes)
	if err != nil {
		return i, err
	}
	// It may be older than what is demanded of a reason, and must go on all the same.
	if _, err := prose("reason", i.By.Why); err != nil {
		i.By.Why = mended(i.By.Why)
	}
	i.Made, i.Base, i.First, i.Last = fromMilli(made), uint64(base), uint64(first.Int64), uint64(last.Int64)
	return i, errors.Join(json.Unmarshal([]byte(options), &i.Options), json.Unmarshal([]byte(counts), &i.Counts))
}

// Imports returns the newest imports first, limit of them; all for 0.
func (s *Store) Imports(ctx context.Context, limit int) ([]Import, error) {
	query := "SELECT " + importColumns + " FROM import ORDER BY made_at DESC, id"
	if limit > 0 {
		return s.imports(ctx, s.r, query+" LIMIT ?", limit)
	}
	return s.imports(ctx, s.r, query)
}

// Import returns one import, or ErrNotFound.
func (s *Store) Import(ctx context.Context, id string) (Import, error) {
	return s.importOf(ctx, s.r, id)
}

func (s *Store) importOf(ctx context.Context, q querier, id string) (Import, error) {
	list, err := s.imports(ctx, q, "SELECT "+importColumns+" FROM import WHERE id = ?", id)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("import %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return Import{}, err
	}
	return list[0], nil
}

func (s *Store) imports(ctx context.Context, q querier, query string, args ...any) (list []Import, err error) {
	err = s.each(ctx, q, query, args, func(rows *sql.Rows) error {
		i, err := scanImport(rows)
		list = append(list, i)
		return err
	})
	return list, err
}

// Unfinished returns the import that is only partly published; ErrNotFound if
// there is none.
func (s *Store) Unfinished(ctx context.Context) (Import, error) {
	list, err := s.imports(ctx, s.r, "SELECT "+importColumns+" FROM import WHERE state = ?", string(ImportPublishing))
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Import{}, err
	}
	return list[0], nil
}

// Confirm is the second person's word for an import that waits. by must be of
// another owner than who staged it.
func (s *Store) Confirm(ctx context.Context, by By, id string) error {
	_, err := s.write(ctx, by, func(t *tx) error {
		i, err := s.importOf(ctx, t, id)
		switch {
		case err != nil:
			return err
		case i.State != ImportWaiting:
			return fmt.Errorf("%w: import %q is %s; there is nothing to confirm", ErrInvalid, id, i.State)
		case samePerson(t.by.Owner, i.By.Owner):
			return fmt.Errorf("%w: import %q was staged by %s of the same owner, %s; another owner must confirm it", ErrInvalid, id, i.By.Who, i.By.Owner)
		}
		t.note("import", id, map[string]any{"state": i.State}, map[string]any{"state": ImportStaged, "confirmed_by": t.by.Owner})
		return t.exec("UPDATE import SET state = ?, confirmed_who = ?, confirmed_owner = ? WHERE id = ?", string(ImportStaged), t.by.Who, t.by.Owner, id)
	})
	return err
}

// Drop gives an import up that is not being published.
func (s *Store) Drop(ctx context.Context, by By, id string) error {
	_, err := s.write(ctx, by, func(t *tx) error {
		i, err := s.importOf(ctx, t, id)
		if err != nil {
			return err
		}
		if i.State == ImportPublishing || i.State == ImportDone {
			return fmt.Errorf("%w: import %q is %s; undo it instead", ErrInvalid, id, i.State)
		}
		t.note("import", id, map[string]any{"state": i.State}, map[string]any{"state": ImportDropped})
		return t.drop(id)
	})
	return err
}

func (t *tx) drop(id string) error {
	if err := t.exec("DELETE FROM staged WHERE import_id = ?", id); err != nil {
		return err
	}
	return t.exec("UPDATE import SET state = ? WHERE id = ?", string(ImportDropped), id)
}
