package store_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

func TestTokens(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		made, secret, err := w.s.NewToken(background, staff, store.Token{Owner: "edge-1", Scopes: []string{store.ScopeFeed, store.ScopeStatus}, Until: w.clock().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		other, otherSecret, err := w.s.NewToken(background, staff, store.Token{Owner: "edge-2", Scopes: []string{store.ScopeFeed}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.s.CheckToken(background, secret)
		if err != nil || got.Owner != "edge-1" || !got.Allows(store.ScopeFeed) || got.Allows(store.ScopeAdmin) || got.ID != made.ID {
			t.Errorf("got %+v, %v; want the token", got, err)
		}
		mixed := secret[:len(secret)-43] + otherSecret[len(otherSecret)-43:]
		for _, bad := range []string{"", "icp_", "icp_" + made.ID, "icp_" + made.ID + "_", secret + "x", secret[:len(secret)-1], mixed, strings.ToUpper(secret)} {
			if _, err := w.s.CheckToken(background, bad); !errors.Is(err, store.ErrTokenUnknown) {
				t.Errorf("%q: got %v; want ErrTokenUnknown", bad, err)
			}
		}
		w.pass(time.Hour)
		if _, err := w.s.CheckToken(background, secret); !errors.Is(err, store.ErrTokenExpired) {
			t.Errorf("got %v; want ErrTokenExpired", err)
		}
		if err := w.s.RevokeToken(background, staff, other.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.s.CheckToken(background, otherSecret); !errors.Is(err, store.ErrTokenRevoked) {
			t.Errorf("got %v; want ErrTokenRevoked", err)
		}
		if err := w.s.RevokeToken(background, staff, "nothing"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v; want ErrNotFound", err)
		}
		if list, err := w.s.Tokens(background); err != nil || len(list) != 2 || list[0].Used.IsZero() {
			t.Errorf("got %+v, %v; want two, the first used", list, err)
		}
		events, err := w.s.Journal(background, store.JournalQuery{})
		if err != nil || len(events) != 3 {
			t.Fatalf("got %d events, %v; want 3", len(events), err)
		}
		for _, e := range events {
			if text := string(e.Was) + string(e.Is); strings.Contains(text, secret[25:]) || strings.Contains(text, otherSecret[25:]) {
				t.Errorf("the journal holds a secret: %s", text)
			}
		}
		for _, bad := range []store.Token{{Owner: "a"}, {Scopes: []string{store.ScopeFeed}}, {Owner: "a", Scopes: []string{"all"}}, {Owner: "a", Scopes: []string{"feed", "feed"}}, {Owner: "a", Scopes: []string{"feed"}, Until: w.clock()}} {
			if _, _, err := w.s.NewToken(background, staff, bad); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%+v: got %v; want ErrInvalid", bad, err)
			}
		}
	})
}

func sighting(w *world, name string, hits uint64, hosts ...string) store.Sighting {
	s := store.Sighting{Name: registry.MustParseDomain(name), Addr: netip.MustParseAddr("192.0.2.1"), Reason: registry.Unfiled,
		First: w.clock().Add(-time.Minute), Last: w.clock(), Hits: hits}
	for _, h := range hosts {
		s.Hosts = append(s.Hosts, registry.MustParseDomain(h))
	}
	return s
}

func TestSightings(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		var hosts []string
		for i := range 15 {
			hosts = append(hosts, fmt.Sprintf("h%02d.example.com", i))
		}
		batch := store.SightingBatch{Edge: "edge-1", Boot: "b", Seq: 1, Rows: []store.Sighting{
			sighting(w, "example.com", 5, hosts[:4]...), sighting(w, "example.org", 1), sighting(w, "example.com", 2, hosts[4:]...)}}
		add := func(b store.SightingBatch, want bool) {
			t.Helper()
			if fresh, err := w.s.AddSightings(background, b); err != nil || fresh != want {
				t.Fatalf("got %v, %v; want %v", fresh, err, want)
			}
		}
		add(batch, true)
		add(batch, false)
		batch.Edge = "edge-2"
		add(batch, true)
		list, err := w.s.Sightings(background, store.SightingQuery{Name: registry.MustParseDomain("example.com")})
		if err != nil || len(list) != 1 || list[0].Hits != 14 || len(list[0].Hosts) != 10 || list[0].State != store.HandlingOpen {
			t.Fatalf("got %+v, %v; want 14 hits of 10 hosts, open", list, err)
		}
		id := list[0].ID
		if err := w.s.Handle(background, staff, store.HandlingClosed, "moved away", id); err != nil {
			t.Fatal(err)
		}
		if err := w.s.Handle(background, staff, store.HandlingClosed, "", id, "nothing"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v; want ErrNotFound", err)
		}
		if err := w.s.Handle(background, staff, "done", "", id); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("got %v; want ErrInvalid", err)
		}
		batch.Seq = 2
		add(batch, true) // seen before it was closed
		states := func(want ...string) {
			t.Helper()
			list, err := w.s.Sightings(background, store.SightingQuery{})
			var got []string
			for _, r := range list {
				got = append(got, r.Name.String()+" "+string(r.State))
			}
			slices.Sort(got)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		}
		states("example.com closed", "example.org open")
		w.pass(time.Hour)
		add(store.SightingBatch{Edge: "edge-1", Boot: "b", Seq: 2, Rows: []store.Sighting{sighting(w, "example.com", 1)}, Other: 3}, true)
		states("example.com open", "example.org open")
		w.put(filing("京ICP备00000001号-1", "example.org"))
		if n, err := w.s.MarkFiled(background, staff); err != nil || n != 1 {
			t.Errorf("got %d, %v; want 1", n, err)
		}
		states("example.com open", "example.org filed-since")
		w.pass(store.Retention - 30*time.Minute)
		if n, err := w.s.Purge(background, staff, store.Retention); err != nil || n != 1 {
			t.Errorf("got %d, %v; want 1", n, err)
		}
		states("example.com open")
		add(store.SightingBatch{Edge: "edge-1", Boot: "b", Seq: 2}, false)
		first := sighting(w, "example.net", 1)
		for _, bad := range []store.SightingBatch{{}, {Edge: "e", Boot: "b"}, {Edge: "e", Boot: "b", Seq: 1, Rows: make([]store.Sighting, 10_001)},
			{Edge: "e", Boot: "b", Seq: 1, Rows: []store.Sighting{{Name: first.Name, First: first.Last, Last: first.First}}}} {
			if _, err := w.s.AddSightings(background, bad); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("got %v; want ErrInvalid", err)
			}
		}
	})
}

func TestSightingPages(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		b := store.SightingBatch{Edge: "e", Boot: "b", Seq: 1}
		for i := range 25 {
			s := sighting(w, fmt.Sprintf("e%d.example", i), 1)
			s.Last = s.Last.Add(time.Duration(i/5) * time.Second)
			b.Rows = append(b.Rows, s)
		}
		if _, err := w.s.AddSightings(background, b); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for q := (store.SightingQuery{Limit: 4}); ; {
			list, err := w.s.Sightings(background, q)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			for _, r := range list {
				seen[r.ID] = true
			}
			q.After = &list[len(list)-1]
		}
		if len(seen) != 25 {
			t.Errorf("saw %d; want 25", len(seen))
		}
	})
}

func TestPersonalData(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		f := filing("京ICP备00000001号-1", "example.com")
		f.Entity.Nature, f.Entity.Name = registry.NatureUnknown, "某某"
		w.put(f)
		c := store.Contact{Person: "某某", Phone: "010-00000000"}
		w.edit(func(e *store.Edit) error { return e.SetContact(f.Entity.Number, c) })
		got, err := w.s.Entity(background, f.Entity.Number)
		if err != nil || got.Name != "某某" || got.Contact != c {
			t.Errorf("got %+v, %v; want name and contact", got, err)
		}
		w.publish(w.stage(store.ImportOptions{}, of(f)).ID)
		w.edit(func(e *store.Edit) error { return e.Erase(f.Entity.Number) })
		w.put(f)
		staged := w.stage(store.ImportOptions{}, of(f))
		if staged.Counts.Unchanged != 1 {
			t.Errorf("got %+v; want the filing unchanged: its name is not kept", staged.Counts)
		}
		w.publish(staged.ID)
		r, err := w.s.Filing(background, store.KeyOf(&f))
		if err != nil || r.Filing.Entity.Name != "" {
			t.Errorf("got %+v, %v; want no name", r.Filing.Entity, err)
		}
		got, err = w.s.Entity(background, f.Entity.Number)
		if err != nil || got.Name != "" || got.Contact != (store.Contact{}) || got.Erased.IsZero() {
			t.Errorf("got %+v, %v; want it erased", got, err)
		}
		if _, err := w.s.Edit(background, staff, func(e *store.Edit) error { return e.SetContact(f.Entity.Number, c) }); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("got %v; want ErrInvalid", err)
		}
		w.holdsNot("某某", "010-00000000")
	})
}

func TestPersonsAndPSB(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		p := store.Person{Name: "ann", Hash: "$made$elsewhere", Roles: []string{"viewer", "approver"}}
		if err := w.s.PutPerson(background, staff, p); err != nil {
			t.Fatal(err)
		}
		p.Ended = w.clock()
		if err := w.s.PutPerson(background, staff, p); err != nil {
			t.Fatal(err)
		}
		got, err := w.s.Person(background, "ann")
		if err != nil || got.Hash != p.Hash || !got.Ended.Equal(p.Ended) || !slices.Equal(got.Roles, p.Roles) {
			t.Errorf("got %+v, %v; want %+v", got, err, p)
		}
		if _, err := w.s.Person(background, "bob"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v; want ErrNotFound", err)
		}
		if list, _ := w.s.Persons(background); len(list) != 1 {
			t.Errorf("got %d persons; want 1", len(list))
		}
		psb := store.PSB{Number: registry.MustParsePSBNumber("京公网安备11010802020134号"), Name: registry.MustParseDomain("example.com"), FiledAt: day(2022, 1, 2)}
		w.edit(func(e *store.Edit) error { return e.PutPSB(psb) })
		if list, err := w.s.PSBs(background, psb.Name); err != nil || len(list) != 1 || !list[0].FiledAt.Equal(psb.FiledAt) {
			t.Errorf("got %+v, %v; want %+v", list, err, psb)
		}
		w.edit(func(e *store.Edit) error { return e.RemovePSB(psb.Number) })
		if list, err := w.s.PSBs(background, psb.Name); err != nil || len(list) != 0 {
			t.Errorf("got %+v, %v; want none", list, err)
		}
	})
}

// TestNamesOfPeople: an account is called as people write their names, with a middle
// dot too, and holds nothing that nobody sees: two people that look alike would be one
// to whoever reads the journal. What a contact is called may hold what a script needs.
func TestNamesOfPeople(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		for name, good := range map[string]bool{
			"古丽·买买提": true, "O'Neil-Śmith": true, "བསྟན་འཛིན": true, "ئاينۇر": true, "ᠪᠠᠲᠤ": true,
			"ann\u200d": false, "क्\u200dष": false, "a\u200cnn": false, "ann\u202e": false, "ann\ufeff": false,
		} {
			err := w.s.PutPerson(background, staff, store.Person{Name: name, Hash: "h", Roles: []string{"viewer"}})
			if good != (err == nil) || !good && !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%+q: got %v; want it taken: %t", name, err, good)
			}
		}
		w.put(filing("京ICP备00000001号-1", "example.com"))
		const contact = "क्\u200dष"
		w.edit(func(e *store.Edit) error {
			return e.SetContact(registry.MustParseNumber("京ICP备00000001号"), store.Contact{Person: contact})
		})
		if got, err := w.s.Entity(background, registry.MustParseNumber("京ICP备00000001号")); err != nil || got.Contact.Person != contact {
			t.Errorf("got %+q, %v; want the contact as it was told", got.Contact.Person, err)
		}
	})
}
