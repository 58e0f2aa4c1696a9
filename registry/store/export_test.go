package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"testing"

	"github.com/icpgate/icpgate/registry"
)

// SetLimits lets a test do with few filings what is meant for many.
func SetLimits(t testing.TB, flips, fresh int) {
	f, m := flipsFree, manyFresh
	flipsFree, manyFresh = flips, fresh
	t.Cleanup(func() { flipsFree, manyFresh = f, m })
}

// SetFresh is what SetLimits does for a process that is no test.
func SetFresh(n int) { manyFresh = n }

// SchemaVersion is the newest version of the schema.
var SchemaVersion = schemaVersion()

// MigrateTo makes a database of a version of the schema; 0 is an empty one.
func MigrateTo(dsn string, version int) error {
	if version == 0 {
		return nil
	}
	e, err := engineOf(dsn)
	if err != nil {
		return err
	}
	o := Options{}
	o.setDefaults()
	s := &Store{e: e, o: o}
	if s.w, s.r, err = e.open(context.Background(), &o); err != nil {
		return err
	}
	defer e.close()
	defer s.r.Close()
	defer s.w.Close()
	if err := e.check(context.Background(), s.w); err != nil {
		return err
	}
	list, err := s.migrations(0, version)
	for _, q := range list {
		if _, err := s.w.Exec(q); err != nil {
			return err
		}
	}
	return err
}

func EncodeFiling(f *registry.Filing) []byte {
	var e encoder
	e.filing(f)
	return e.b
}

func DecodeFiling(b []byte) (registry.Filing, error) {
	d := decoder{b: b}
	f := d.filing()
	return f, d.whole()
}

func EncodeChanges(changes []registry.Change, entries []registry.Entry) []byte {
	var e encoder
	for i := range changes {
		e.change(&changes[i])
	}
	for i := range entries {
		e.entry(&entries[i])
	}
	return e.b
}

func DecodeChanges(b []byte) (p Published, err error) {
	err = p.read(b)
	return p, err
}

// Zip and Unzip are what a backup is wrapped in.
func Zip(plain []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.NoCompression)
	z.Write(plain)
	z.Close()
	return b.Bytes()
}

func Unzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// PackedQueries are those of SQLite that give many rows as one.
func PackedQueries() []string {
	return []string{sqlitePacking.sites, sqlitePacking.domains, sqlitePacking.accesses}
}

// Publishing reports whether a call publishes an import, or waits for its turn.
func Publishing(s *Store, id string) (yes bool) {
	s.atIt.Range(func(_, at any) bool { yes = yes || at == id; return !yes })
	return yes
}
