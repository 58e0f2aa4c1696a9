package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// fill puts something of each kind into a store.
func (w *world) fill() {
	w.Helper()
	person := filing("京ICP备00000777号-1", "p.example.org")
	person.Entity.Nature, person.Entity.Name = registry.Individual, "某某"
	ip := registry.Filing{Site: registry.Site{Kind: registry.KindIP}, Addr: netip.MustParseAddr("192.0.2.9")}
	w.load(complete, append(many(0, 30), person, ip)...)
	w.load(complete, append(many(1, 29), person, ip)...)
	w.edit(func(e *store.Edit) error {
		return errors.Join(
			e.SetContact(person.Entity.Number, store.Contact{Phone: "010-00000000"}),
			e.BlacklistEntity(person.Entity.Number, "listed"),
			e.Blacklist(registry.MustParseDomain("bad.example"), "listed"),
			e.Exempt(store.Exemption{Name: registry.MustParseDomain("ok.example")}),
			e.Set(registry.Entry{List: registry.ListNetworks, Key: "192.0.2.0/24", Value: "cloud-a ecs cn-test mainland"}),
			e.PutServer(registry.Server{ID: "i-1", Provider: "cloud-a", Product: registry.ECS, Place: registry.Mainland, Quota: 5, Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32")}}),
			e.AddServiceNumber("n1", "i-1", ""),
			e.PutPSB(store.PSB{Number: registry.MustParsePSBNumber("京公网安备11010802020134号"), Name: registry.MustParseDomain("p.example.org")}),
		)
	})
	if _, err := w.s.AddSightings(background, store.SightingBatch{Edge: "e", Boot: "b", Seq: 1, Rows: []store.Sighting{sighting(w, "example.net", 3, "www.example.net")}}); err != nil {
		w.Fatal(err)
	}
	if err := w.s.PutPerson(background, staff, store.Person{Name: "ann", Hash: "h", Roles: []string{"viewer"}}); err != nil {
		w.Fatal(err)
	}
}

// TestBackup goes from each database to each, and compares all that can be read.
func TestBackup(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.fill()
		_, secret, err := w.s.NewToken(background, staff, store.Token{Owner: "e", Scopes: []string{store.ScopeFeed}})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		info, err := w.s.Backup(background, &b)
		if err != nil {
			t.Fatal(err)
		}
		old, _ := w.s.Revision(background)
		verified, err := store.VerifyBackup(bytes.NewReader(b.Bytes()))
		if err != nil || !reflect.DeepEqual(verified, info) || info.Revision != old {
			t.Errorf("got %+v, %v; want %+v at %s", verified, err, info, old)
		}
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
		for _, e := range engines {
			t.Run("to "+e.name, func(t *testing.T) {
				to := &world{T: t, dsn: e.empty(t), now: w.clock().Add(time.Hour), key: w.key}
				restore := func(replace bool) error {
					_, err := store.Restore(background, to.dsn, store.Options{Now: to.clock, Key: to.key}, staff, replace, open)
					return err
				}
				if err := restore(false); err != nil {
					t.Fatal(err)
				}
				if err := restore(false); err == nil {
					t.Error("a registry was written over")
				}
				to.open()
				defer func() { to.s.Close() }()
				to.put(filing("京ICP备00000888号-1", "later.example"))
				if err := restore(true); !errors.Is(err, store.ErrInUse) {
					t.Errorf("while it is open: got %v; want ErrInUse", err)
				}
				to.s.Close()
				if err := restore(true); err != nil {
					t.Fatal(err)
				}
				to.open()
				equal(t, w, to)
				if wrong, err := to.s.Check(background); err != nil || len(wrong) > 0 {
					t.Errorf("check: %q, %v", wrong, err)
				}
				if now, _ := to.s.Revision(background); now.Epoch == old.Epoch || now.Compare(old) <= 0 {
					t.Errorf("restored at %s, the backup is of %s; want a newer epoch", now, old)
				}
				if _, err := to.s.CheckToken(background, secret); err != nil {
					t.Errorf("token: %v", err)
				}
				to.put(filing("京ICP备00000888号-1", "later.example")) // it goes on
			})
		}
	})
}

// equal compares two stores.
func equal(t *testing.T, a, b *world) {
	t.Helper()
	read := func(w *world) (all []any) {
		filings, blacklist, entries := w.all()
		for _, key := range slices.Sorted(maps.Keys(filings)) {
			f := filings[key]
			all = append(all, store.ViewOf(&f))
			events, err := w.s.History(background, key)
			all = append(all, events, err)
		}
		e, err := w.s.Entity(background, registry.MustParseNumber("京ICP备00000777号"))
		all = append(all, blacklist, entries, e, err)
		sightings, err := w.s.Sightings(background, store.SightingQuery{})
		imports, err2 := w.s.Imports(background, 0)
		persons, err3 := w.s.Persons(background)
		numbers, err4 := w.s.ServiceNumbers(background, "")
		psb, err5 := w.s.PSBs(background, registry.MustParseDomain("p.example.org"))
		return append(all, fmt.Sprintf("%+v", sightings), err, imports, err2, persons, err3, numbers, err4, psb, err5)
	}
	x, y := read(a), read(b)
	if len(x) != len(y) {
		t.Fatalf("%d things became %d", len(x), len(y))
	}
	for i := range x {
		if !reflect.DeepEqual(x[i], y[i]) {
			t.Fatalf("%+v became %+v", x[i], y[i])
		}
	}
}

func TestBrokenBackup(t *testing.T) {
	w := &world{T: t, dsn: filepath.Join(t.TempDir(), "registry.db"), now: day(2026, 3, 1), key: store.NewKey()}
	w.open()
	defer func() { w.s.Close() }()
	w.fill()
	var b bytes.Buffer
	if _, err := w.s.Backup(background, &b); err != nil {
		t.Fatal(err)
	}
	plain, err := store.Unzip(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "to.db")
	try := func(what string, broken []byte) {
		t.Helper()
		_, err := store.Restore(background, to, store.Options{Key: w.key}, staff, false, func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(broken)), nil
		})
		if !errors.Is(err, store.ErrBackup) {
			t.Errorf("%s: got %v; want ErrBackup", what, err)
		}
		if exists(to) {
			t.Fatalf("%s: something was written", what)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		i := random.IntN(b.Len())
		flipped := bytes.Clone(b.Bytes())
		flipped[i] ^= 1 << random.IntN(8)
		if same, err := store.Unzip(flipped); err == nil && bytes.Equal(same, plain) {
			continue // time and system of gzip's header, and bits that fill up the last byte, mean nothing
		}
		try(fmt.Sprintf("byte %d flipped", i), flipped)
		try(fmt.Sprintf("cut at %d", i), b.Bytes()[:i])
	}
	try("empty", nil)
	try("twice", append(bytes.Clone(b.Bytes()), b.Bytes()...))
	try("with a line behind it", append(bytes.Clone(b.Bytes()), "so\n"...))
	_, err = store.Restore(background, to, store.Options{Key: store.NewKey()}, staff, false, func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	})
	if err == nil || exists(to) {
		t.Errorf("with another key: got %v", err)
	}
}

// TestPromoted: a server on another timeline begins another epoch with the first
// transaction, before any revision.
func TestPromoted(t *testing.T) {
	w := &world{T: t, dsn: postgresDSN(t), now: day(2026, 3, 1), key: store.NewKey()}
	w.open()
	defer w.s.Close()
	old := w.put(filing("京ICP备00000001号-1", "example.com"))
	db, err := sql.Open("pgx", w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE meta SET life = '0000ABCD'"); err != nil {
		t.Fatal(err)
	}
	now := w.put(filing("京ICP备00000001号-2", "example.org"))
	if now.Epoch == old.Epoch || now.Rev != old.Rev+1 {
		t.Errorf("got %s after %s; want a new epoch", now, old)
	}
	if again := w.put(filing("京ICP备00000001号-3", "example.net")); again.Epoch != now.Epoch {
		t.Errorf("got %s after %s; want the same epoch", again, now)
	}
}
