package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Published is one revision as edges are told of it.
type Published struct {
	Revision registry.Revision
	At       time.Time
	Import   string // the import that it is part of; "" is none
	// Flips is how many filings that import removes or flips, where a second person
	// confirmed it: edges expect the change then. 0 otherwise.
	Flips   uint64
	Changes []registry.Change // without personal data
	Entries []registry.Entry
}

// Revision returns the newest revision.
func (s *Store) Revision(ctx context.Context) (registry.Revision, error) {
	rev, _, err := s.where(ctx, s.r)
	return rev, err
}

// where returns the newest revision, and the one since which changes are kept.
func (s *Store) where(ctx context.Context, q querier) (rev registry.Revision, base uint64, err error) {
	var random, number, from int64
	err = q.QueryRowContext(ctx, "SELECT epoch_made, epoch_random, rev, base FROM meta WHERE id = 1").Scan(&rev.Epoch.Made, &random, &number, &from)
	rev.Epoch.Random, rev.Rev = uint64(random), uint64(number)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil // it is being founded
	}
	return rev, uint64(from), err
}

// Changes returns revisions after since in their order, none left out: about as
// many as have maxOperations operations, and one at least unless since is the
// newest. ErrGone tells that they are not kept, or that since is of another epoch
// or to come.
func (s *Store) Changes(ctx context.Context, since registry.Revision, maxOperations int) ([]Published, error) {
	tx, err := s.r.BeginTx(ctx, s.e.reading())
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	now, base, err := s.where(ctx, tx)
	if err != nil {
		return nil, err
	}
	if since.Epoch != now.Epoch || since.Rev < base || since.Rev > now.Rev {
		return nil, fmt.Errorf("revision %s; the registry is at %s and keeps changes since %d: %w", since, now, base, ErrGone)
	}
	list, err := s.revisions(ctx, tx, since, maxOperations)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Revision.Rev != since.Rev+1+uint64(i) {
			return nil, fmt.Errorf("the log has a gap after revision %d: %w", since.Rev+uint64(i), errBytes)
		}
	}
	if len(list) == 0 && since.Rev < now.Rev {
		return nil, fmt.Errorf("the log ends before revision %d: %w", now.Rev, errBytes)
	}
	return list, nil
}

// mostRevisions bounds how many revisions one call of Changes reads, and
// revisionsAtOnce how many one query does, which may be large ones.
const (
	mostRevisions   = 1000
	revisionsAtOnce = 16
)

func (s *Store) revisions(ctx context.Context, q querier, since registry.Revision, maxOperations int) (list []Published, err error) {
	operations := 0
	for len(list) < mostRevisions && (operations < maxOperations || len(list) == 0) {
		before := len(list)
		if list, err = s.moreRevisions(ctx, q, since, list); err != nil {
			return nil, err
		}
		for _, p := range list[before:] {
			operations += len(p.Changes) + len(p.Entries)
		}
		if len(list) < before+revisionsAtOnce {
			break
		}
	}
	return list, nil
}

// moreRevisions appends those that follow list.
func (s *Store) moreRevisions(ctx context.Context, q querier, since registry.Revision, list []Published) ([]Published, error) {
	from := since.Rev + uint64(len(list))
	err := s.each(ctx, q, `SELECT r.rev, r.made_at, r.import_id, r.flips, c.body FROM revision r JOIN change c ON c.rev = r.rev
		WHERE r.rev > ? AND r.rev <= ? ORDER BY r.rev, c.seq`, []any{int64(from), int64(from + revisionsAtOnce)}, func(rows *sql.Rows) error {
		var rev, at, flips int64
		var id sql.NullString
		var body []byte
		if err := rows.Scan(&rev, &at, &id, &flips, &body); err != nil {
			return err
		}
		if len(list) == 0 || list[len(list)-1].Revision.Rev != uint64(rev) {
			list = append(list, Published{
				Revision: registry.Revision{Epoch: since.Epoch, Rev: uint64(rev)},
				At:       fromMilli(at), Import: id.String, Flips: uint64(flips),
			})
		}
		if err := list[len(list)-1].read(body); err != nil {
			return fmt.Errorf("revision %d: %w", rev, err)
		}
		return nil
	})
	return list, err
}

func (p *Published) read(body []byte) error {
	for d := (decoder{b: body}); len(d.b) > 0; {
		if err := d.operation(p); err != nil {
			return err
		}
	}
	return nil
}

// Wait returns the newest revision as soon as it is beyond after, or of another
// epoch: at once for revisions of this program, within Options.Poll for those of
// others. It ends with ctx, and with ErrClosed when the store is closed.
func (s *Store) Wait(ctx context.Context, after registry.Revision) (registry.Revision, error) {
	s.watch()
	defer s.unwatch()
	for {
		s.waiting.Lock()
		newest, news := s.newest, s.news
		s.waiting.Unlock()
		// Who has read the log may know more than was announced yet.
		if newest != after && !(newest.Epoch == after.Epoch && newest.Rev < after.Rev) {
			return newest, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return newest, ctx.Err()
		case <-s.stopped:
			return newest, ErrClosed
		}
	}
}

// ErrClosed: the store was closed.
var ErrClosed = errors.New("the registry of record is closed")

// announce tells those who wait of a revision.
func (s *Store) announce(rev registry.Revision) {
	s.waiting.Lock()
	defer s.waiting.Unlock()
	if s.newest.Compare(rev) >= 0 {
		return
	}
	s.newest = rev
	close(s.news)
	s.news = make(chan struct{})
}

// watch begins to poll with the first who waits.
func (s *Store) watch() {
	s.waiting.Lock()
	defer s.waiting.Unlock()
	if s.watchers++; s.watchers > 1 || s.stop != nil || s.e.alone() {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.running.Go(func() { s.poll(ctx) })
}

func (s *Store) unwatch() {
	s.waiting.Lock()
	defer s.waiting.Unlock()
	if s.watchers--; s.watchers == 0 && s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// poll asks for revisions that other programs make. An error is no news: writers
// and readers meet it themselves.
func (s *Store) poll(ctx context.Context) {
	tick := time.NewTicker(s.o.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.stopped:
			return
		case <-tick.C:
		}
		asked, cancel := context.WithTimeout(ctx, 5*time.Second)
		if rev, err := s.Revision(asked); err == nil {
			s.announce(rev)
		}
		cancel()
	}
}

// lostAnswer reports whether a commit may have been made although it failed.
func (s *Store) lostAnswer(err error) bool {
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
