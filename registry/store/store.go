package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Errors that callers branch on.
var (
	// ErrInUse: another program has the database open.
	ErrInUse = errors.New("the database is in use")
	// ErrNotFound: there is nothing of that name.
	ErrNotFound = errors.New("not found")
	// ErrGone: the changes since a revision are not kept any more, or are of
	// another epoch; begin with a snapshot.
	ErrGone = errors.New("the changes since then are not kept")
	// ErrFull: the disk of the database is full. Nothing of the transaction was
	// written.
	ErrFull = errors.New("the disk of the database is full")
	// ErrInvalid: what was to be written cannot be.
	ErrInvalid = errors.New("invalid")
	// ErrUnknown: the connection was lost while a transaction was being committed.
	// Whether it was, the journal says.
	ErrUnknown = errors.New("whether it was written is not known")
)

// Options of a store. The zero value is usable.
type Options struct {
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Key encrypts personal data. Without it none is kept.
	Key *Key
	// Readers is how many read at once; default 4.
	Readers int
	// Poll is how often the database is asked for revisions that other programs
	// made while somebody waits for one; default and longest 50 ms.
	Poll time.Duration
	// What names this program to others that want the database; default "a program".
	What string
	// CheckEntry refuses entries of lists that edges could not read, for reasons that
	// this package does not know, such as a region that tells no place. Optional.
	CheckEntry func(registry.Entry) error
	// Exclusive refuses a PostgreSQL database that another program has open, and
	// keeps others out. A SQLite database is always held by one program.
	Exclusive bool
}

func (o *Options) setDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Readers <= 0 {
		o.Readers = 4
	}
	if o.Poll <= 0 || o.Poll > longestPoll {
		o.Poll = longestPoll
	}
	if o.What == "" {
		o.What = "a program"
	}
}

// longestPoll keeps a change below a second from another node to an edge.
const longestPoll = 50 * time.Millisecond

// Store is the registry of record. It is safe for concurrent use. The zero value
// is of no use; Open makes one.
type Store struct {
	e    engine
	o    Options
	w, r *sql.DB
	dsn  string
	seal *sealer
	node string

	waiting  sync.Mutex
	newest   registry.Revision // guarded by waiting
	news     chan struct{}     // closed when newest changes; guarded by waiting
	watchers int               // guarded by waiting
	stop     context.CancelFunc
	running  sync.WaitGroup
	stopped  chan struct{}
	leased   context.CancelFunc
	closing  sync.Once

	importing sync.Mutex // one import is published at a time
	pace      atomic.Pointer[func(ctx context.Context, rev registry.Revision)]
	staging   sync.Map // the imports that this program stages, by id
	atIt      sync.Map // the ids of those that it publishes or is to publish, by call
}

// Open opens the registry of record and brings its schema up to date; a new one
// is made where there is none. dsn is the path of a SQLite file, or a connection
// string of PostgreSQL (postgres://… or host=… dbname=…), which may name several
// hosts. ctx bounds the opening only.
func Open(ctx context.Context, dsn string, o Options) (*Store, error) {
	s, err := open(ctx, dsn, o)
	if err != nil {
		return nil, fmt.Errorf("registry of record: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, dsn string, o Options) (*Store, error) {
	o.setDefaults()
	e, err := engineOf(dsn)
	if err != nil {
		return nil, err
	}
	s := &Store{e: e, o: o, dsn: dsn, news: make(chan struct{}), stopped: make(chan struct{})}
	if s.w, s.r, err = e.open(ctx, &s.o); err != nil {
		e.close()
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// begin makes an opened database ready.
func (s *Store) begin(ctx context.Context) error {
	if err := s.e.check(ctx, s.w); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if err := s.found(ctx); err != nil {
		return err
	}
	if err := s.lease(ctx); err != nil {
		return err
	}
	if err := s.openSeal(ctx); err != nil {
		return err
	}
	rev, err := s.Revision(ctx)
	if err != nil {
		return err
	}
	s.newest = rev
	return s.endLoad(ctx)
}

// found writes the first row of a new registry.
func (s *Store) found(ctx context.Context) error {
	var n int
	if err := s.w.QueryRowContext(ctx, "SELECT count(*) FROM meta").Scan(&n); err != nil || n > 0 {
		return err
	}
	key, epoch := newKeyOfSnapshots(), newEpoch(s.o.Now())
	_, err := s.w.ExecContext(ctx, s.e.query(`INSERT INTO meta (id, epoch_made, epoch_random, rev, base, last_id, filings, snapshot_key)
		VALUES (1, ?, ?, 0, 0, 0, 0, ?) ON CONFLICT (id) DO NOTHING`), epoch.Made, int64(epoch.Random), key[:])
	return err
}

func newKeyOfSnapshots() (key [16]byte) {
	rand.Read(key[:]) // never fails, see crypto/rand
	return key
}

func newEpoch(now time.Time) registry.Epoch {
	var b [8]byte
	rand.Read(b[:])
	return registry.Epoch{Made: now.UnixMilli(), Random: binary.LittleEndian.Uint64(b[:])}
}

// randomID names something that this program makes.
func randomID() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// Close ends what waits and gives the database back. A second one does nothing.
func (s *Store) Close() (err error) {
	s.closing.Do(func() { err = s.shut() })
	return err
}

func (s *Store) shut() error {
	close(s.stopped)
	s.running.Wait()
	err := s.unlease()
	for _, db := range []*sql.DB{s.w, s.r} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return errors.Join(err, s.e.close())
}

// failed explains an error of the database.
func (s *Store) failed(err error) error {
	if err != nil && s.e.full(err) {
		return fmt.Errorf("%w: make room; nothing of this was written: %w", ErrFull, err)
	}
	return err
}
