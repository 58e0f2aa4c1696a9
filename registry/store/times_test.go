package store_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// TestFarTimes: a date that is far away goes through the log as any other, and one
// that no list could tell any more is refused.
func TestFarTimes(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m := &replica{world: w, at: map[string]string{}}
		m.rev, _ = w.s.Revision(background)
		far := time.Date(9999, 12, 30, 0, 0, 0, 0, time.UTC)
		f := filing("沪ICP备00000001号-1", "far.example.org")
		f.Site.FiledAt, f.UpdatedAt = far, far
		w.put(f)
		m.follow()
		psb, _, err := registry.ParsePSBNumber("京公网安备11010802020134号")
		if err != nil {
			t.Fatal(err)
		}
		for _, beyond := range []time.Time{far.AddDate(0, 0, 1).Add(23 * time.Hour), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
			filed, accessed := f, f
			filed.Site.FiledAt = beyond
			accessed.AccessesKnown, accessed.Accesses = true, []registry.Access{{Provider: "aliyun", Status: registry.AccessActive, At: beyond.Unix()}}
			for what, do := range map[string]func(e *store.Edit) error{
				"a filing":  func(e *store.Edit) error { return e.PutFiling(filed) },
				"an access": func(e *store.Edit) error { return e.PutFiling(accessed) },
				"an exemption": func(e *store.Edit) error {
					return e.Exempt(store.Exemption{Name: f.Site.Domains[0], Until: beyond})
				},
				"a PSB filing": func(e *store.Edit) error {
					return e.PutPSB(store.PSB{Number: psb, Name: f.Site.Domains[0], FiledAt: beyond})
				},
			} {
				if _, err := w.s.Edit(background, staff, do); !errors.Is(err, store.ErrInvalid) {
					t.Errorf("%s of %s: got %v; want it refused", what, beyond, err)
				}
			}
			if i := w.stage(store.ImportOptions{DryRun: true}, of(filed, accessed)); i.Counts.Refused != 2 {
				t.Errorf("an import of %s: got %+v; want both refused", beyond, i.Counts)
			}
			if _, _, err := w.s.NewToken(background, staff, store.Token{Owner: "edge", Scopes: []string{store.ScopeRead}, Until: beyond}); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("a token until %s: got %v; want it refused", beyond, err)
			}
		}
		m.follow()
	})
}

// raw opens the database of a world as another program does, and returns what runs a
// statement with "?" for its arguments.
func (w *world) raw() (run func(query string, args ...any)) {
	w.Helper()
	driver, dsn := "sqlite", "file:"+w.dsn
	if strings.Contains(w.dsn, "dbname=") {
		driver, dsn = "pgx", w.dsn
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { db.Close() })
	return func(query string, args ...any) {
		w.Helper()
		for i := range args {
			if driver == "pgx" {
				query = strings.Replace(query, "?", fmt.Sprintf("$%d", i+1), 1)
			}
		}
		r, err := db.Exec(query, args...)
		if err != nil {
			w.Fatalf("%s: %v", query, err)
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			w.Fatalf("%s: %d rows, %v", query, n, err)
		}
	}
}

// TestUntoldTimes: a database that holds times beyond the year 9999 is read, changed
// and followed; Check tells of them.
func TestUntoldTimes(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		m := &replica{world: w, at: map[string]string{}}
		m.rev, _ = w.s.Revision(background)
		one := filing("沪ICP备00000001号-1", "far.example.org", registry.Access{Provider: "aliyun", Status: registry.AccessActive, At: 1_700_000_000})
		two := filing("沪ICP备00000001号-2", "far.example.org")
		w.put(one, two)
		two.Site.Name = "another one"
		w.put(two)
		w.edit(func(e *store.Edit) error {
			return errors.Join(
				e.PutPSB(store.PSB{Number: registry.MustParsePSBNumber("京公网安备11010802020134号"), Name: one.Site.Domains[0], FiledAt: day(2020, 1, 1)}),
				e.Exempt(store.Exemption{Name: one.Site.Domains[0], Until: day(2030, 1, 1)}))
		})
		if _, _, err := w.s.NewToken(background, staff, store.Token{Owner: "edge", Scopes: []string{store.ScopeRead}, Until: day(2030, 1, 1)}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.s.AddSightings(background, store.SightingBatch{Edge: "e", Boot: "b", Seq: 1, Rows: []store.Sighting{sighting(w, "seen.example.org", 3)}}); err != nil {
			t.Fatal(err)
		}
		staged := w.stage(store.ImportOptions{}, of(filing("沪ICP备00000002号-1", "new.example.org")))

		// As programs wrote it that did not look.
		far := time.Date(10_000, 1, 1, 12, 0, 0, 0, time.UTC)
		run := w.raw()
		run("UPDATE site SET filed_at = ?, updated_at = ? WHERE number = ?", far.Unix(), far.Unix(), one.Site.Number.String())
		run("UPDATE access SET at = ?", far.Unix())
		run("UPDATE psb SET filed_at = ?", far.Unix())
		run("UPDATE exemption SET until = ?", far.Unix())
		run("UPDATE token SET until = ?", far.UnixMilli())
		run("UPDATE sighting SET last_seen = ?", far.Unix())
		old := one
		old.Site.FiledAt, old.UpdatedAt, old.Accesses = far, far, []registry.Access{{Provider: "aliyun", Status: registry.AccessActive, At: far.Unix()}}
		run("UPDATE past SET state = ?", store.EncodeFiling(&old))
		other := filing("沪ICP备00000001号-2", "far.example.org")
		run("UPDATE change SET body = ? WHERE rev = 1", store.EncodeChanges([]registry.Change{{Kind: registry.ChangeFilings, Name: one.Site.Domains[0], Filings: []registry.Filing{old, other}}}, nil))

		wrong, err := w.s.Check(background)
		if err != nil {
			t.Fatal(err)
		}
		for _, column := range []string{"site.filed_at", "site.updated_at", "access.at", "psb.filed_at", "exemption.until", "token.until", "sighting.last_seen"} {
			if !strings.Contains(strings.Join(wrong, "\n"), column) {
				t.Errorf("got %q; want %s to be told of", wrong, column)
			}
		}
		want := time.Unix(registry.LastTime, 0)
		if list := w.since(m.rev); len(list) != 3 || !list[0].Changes[0].Filings[0].UpdatedAt.Equal(want) {
			t.Errorf("the log says %+v; want %s", list, want)
		}
		two.Site.Name = "a third one"
		w.put(two) // the change tells of both filings
		w.edit(func(e *store.Edit) error {
			return e.SetAccess(store.KeyOf(&one), registry.Access{Provider: "tencent", Status: registry.AccessActive})
		})
		w.publish(staged.ID)
		m.follow()
		all, _, _ := w.all()
		if f := all[store.KeyOf(&one)]; !f.Site.FiledAt.Equal(want) || !f.UpdatedAt.Equal(want) || f.Accesses[0].At != registry.LastTime || len(f.Accesses) != 2 {
			t.Errorf("got %+v; want it of %s", f, want)
		}
		if wrong, err := w.s.Check(background); err != nil || strings.Contains(strings.Join(wrong, "\n"), "site.") {
			t.Errorf("got %q, %v; want nothing of what was written anew", wrong, err)
		}
		events, err := w.s.History(background, "far.example.org")
		if err != nil || len(events) == 0 {
			t.Errorf("the history: %d events, %v", len(events), err)
		}
		psbs, e1 := w.s.PSBs(background, one.Site.Domains[0])
		exemptions, e2 := w.s.Exemptions(background)
		tokens, e3 := w.s.Tokens(background)
		sightings, e4 := w.s.Sightings(background, store.SightingQuery{})
		if err := errors.Join(e1, e2, e3, e4); err != nil || len(psbs)+len(exemptions)+len(tokens)+len(sightings) != 4 {
			t.Fatalf("%d, %d, %d and %d, %v; want one of each", len(psbs), len(exemptions), len(tokens), len(sightings), err)
		}
		for _, list := range []any{events, psbs, exemptions, tokens, sightings, all} {
			if _, err := json.Marshal(list); err != nil {
				t.Errorf("%T: %v", list, err)
			}
		}
	})
}
