package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
	"github.com/icpgate/icpgate/registry/store"
)

// of hands filings to a stage.
func of(list ...registry.Filing) func(func() func(registry.Filing) error) error {
	return func(adder func() func(registry.Filing) error) error {
		add := adder()
		for _, f := range list {
			if err := add(f); err != nil {
				return err
			}
		}
		return nil
	}
}

// csv hands the filings of a table to a stage.
func csv(t testing.TB, text string) func(func() func(registry.Filing) error) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(adder func() func(registry.Filing) error) error {
		_, err := bulk.ImportShared(background, []string{path}, bulk.Options{}, adder)
		return err
	}
}

func (w *world) stage(o store.ImportOptions, read func(func() func(registry.Filing) error) error) store.Import {
	w.Helper()
	i, err := w.s.Stage(background, staff, o, read)
	if err != nil {
		w.Fatal(err)
	}
	return i
}

func (w *world) publish(id string) store.Import {
	w.Helper()
	i, err := w.s.Publish(background, id, nil)
	if err != nil {
		w.Fatal(err)
	}
	if i.State != store.ImportDone {
		w.Errorf("import is %s; want done", i.State)
	}
	return i
}

func (w *world) load(o store.ImportOptions, list ...registry.Filing) store.Import {
	w.Helper()
	return w.publish(w.stage(o, of(list...)).ID)
}

// many makes n filings with one name each.
func many(from, n int) (list []registry.Filing) {
	for i := from; i < from+n; i++ {
		list = append(list, filing(fmt.Sprintf("京ICP备%08d号-1", i+1), fmt.Sprintf("n%d.example.com", i), registry.Access{Provider: "cloud-a"}))
	}
	return list
}

var complete = store.ImportOptions{Source: "test", Complete: true}

func TestImportCounts(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		start, _ := w.s.Revision(background)
		list := many(0, 30)
		if c := w.load(complete, list...).Counts; c.Added != 30 || c.Fresh != 30 || c.Flips != 0 {
			t.Errorf("got %+v; want 30 added", c)
		}
		list[3].Status = registry.StatusCancelled
		list[4].Site.Name = "Another name"
		next := append(slices.Clone(list[2:]), many(30, 1)...)
		dry := complete
		dry.DryRun = true
		i := w.stage(dry, of(next...))
		want := store.Counts{Before: 30, Read: 29, Added: 1, Changed: 2, Cancelled: 2, Unchanged: 26, Flips: 3, Fresh: 0}
		if i.Counts != want {
			t.Errorf("dry run: got %+v; want %+v", i.Counts, want)
		}
		if all, _ := w.s.Imports(background, 0); len(all) != 1 {
			t.Errorf("a dry run left %d imports; want the 1 before", len(all))
		}
		if i := w.load(complete, next...); i.Counts != want {
			t.Errorf("got %+v; want %+v", i.Counts, want)
		}
		all, _, _ := w.all()
		for key, status := range map[string]registry.Status{"京ICP备00000001号-1": registry.StatusCancelled, "京ICP备00000003号-1": registry.StatusNormal,
			"京ICP备00000004号-1": registry.StatusCancelled, "京ICP备00000031号-1": registry.StatusNormal} {
			if got := all[key].Status; got != status {
				t.Errorf("%s is %s; want %s", key, got, status)
			}
		}
		if c := w.load(complete, next...).Counts; c.Unchanged != 29 || c.Added+c.Changed+c.Cancelled != 0 {
			t.Errorf("the same again: got %+v; want 29 unchanged", c)
		}
		w.replays(start)
	})
}

// replays checks that the log since a revision that was empty makes what is there.
func (w *world) replays(start registry.Revision) {
	w.Helper()
	at := map[string]string{} // filings by name and key
	next := start.Rev + 1
	for _, p := range w.since(start) {
		if p.Revision.Rev != next {
			w.Fatalf("revision %d after %d", p.Revision.Rev, next-1)
		}
		next++
		if n := len(p.Changes); n > 2000 {
			w.Errorf("revision %d has %d operations", p.Revision.Rev, n)
		}
		for _, c := range p.Changes {
			for k := range at {
				if strings.HasPrefix(k, c.Name.String()+" ") {
					delete(at, k)
				}
			}
			for _, f := range c.Filings {
				at[c.Name.String()+" "+store.KeyOf(&f)] = fmt.Sprintf("%+v", store.ViewOf(&f).Status)
			}
		}
	}
	want := map[string]string{}
	all, _, _ := w.all()
	for key, f := range all {
		for _, d := range f.Site.Domains {
			want[d.String()+" "+key] = f.Status.String()
		}
	}
	if fmt.Sprint(at) != fmt.Sprint(want) {
		w.Errorf("the log makes\n%v\nwant\n%v", at, want)
	}
}

// TestTwoSources: the ministry's rows know no accesses, the provider's nothing else.
func TestTwoSources(t *testing.T) {
	const ministry = `domain,number,entity_name,entity_nature,site_name,updated_at
a.example.com,京ICP备00000001号-1,Sample company,enterprise,A,2022-01-01
b.example.com,京ICP备00000002号-1,Sample company,enterprise,B,2022-01-01
`
	const provider = `domain,provider,access_status,accessed_at
a.example.com,cloud-a,active,2022-02-01
b.example.com,cloud-a,first-review-passed,2022-02-02
c.example.com,cloud-a,active,2022-02-03
`
	onEach(t, func(t *testing.T, w *world) {
		facts, accesses := store.ImportOptions{Part: store.PartFilings, Complete: true}, store.ImportOptions{Part: store.PartAccesses, Complete: true, Provider: "cloud-a"}
		w.publish(w.stage(facts, csv(t, ministry)).ID)
		var refused []string
		accesses.Refused = func(f *registry.Filing, err error) { refused = append(refused, store.KeyOf(f)+": "+err.Error()) }
		i := w.publish(w.stage(accesses, csv(t, provider)).ID)
		if i.Counts.Changed != 2 || i.Counts.Refused != 1 || len(refused) != 1 || !strings.HasPrefix(refused[0], "c.example.com") {
			t.Errorf("got %+v, refused %q; want 2 changed and c.example.com refused", i.Counts, refused)
		}
		for _, again := range []store.ImportOptions{facts, {Part: store.PartAll}} {
			if c := w.publish(w.stage(again, csv(t, ministry)).ID).Counts; c.Unchanged != 2 {
				t.Errorf("the ministry's rows again: got %+v; want 2 unchanged", c)
			}
		}
		if c := w.publish(w.stage(accesses, csv(t, provider)).ID).Counts; c.Unchanged != 2 {
			t.Errorf("the provider's rows again: got %+v; want 2 unchanged", c)
		}
		w.publish(w.stage(accesses, csv(t, "domain,provider\na.example.com,cloud-a\n")).ID)
		all, _, _ := w.all()
		a, b := all["京ICP备00000001号-1"], all["京ICP备00000002号-1"]
		if len(a.Accesses) != 1 || a.Accesses[0].Status != registry.AccessActive || a.Accesses[0].At == 0 || a.Site.Name != "A" {
			t.Errorf("got %+v; want an active access since 2022-02-01", a)
		}
		if len(b.Accesses) != 1 || b.Accesses[0].Status != registry.AccessCancelled {
			t.Errorf("got %+v; want a cancelled access", b)
		}
	})
}

func TestBrakes(t *testing.T) {
	store.SetLimits(t, 1000, 1_000_000)
	onEach(t, func(t *testing.T, w *world) {
		before := many(0, 1_200)
		w.load(complete, before...)
		for few, hint := range map[int]string{0: "never taken", 599: "--allow-shrink"} {
			if i, err := w.s.Stage(background, staff, complete, of(before[:few]...)); !errors.Is(err, store.ErrRefused) || i.State != store.ImportDropped || !strings.Contains(err.Error(), hint) {
				t.Errorf("%d of 1,200: got %v, %s; want ErrRefused with %q, dropped", few, err, i.State, hint)
			}
		}
		shrink := complete
		shrink.AllowShrink = true
		i := w.stage(shrink, of(before[:10]...))
		if i.State != store.ImportWaiting || i.Counts.Flips != 1_190 {
			t.Errorf("got %s, %+v; want waiting, 1,190 flips", i.State, i.Counts)
		}
		if _, err := w.s.Publish(background, i.ID, nil); !errors.Is(err, store.ErrWaiting) {
			t.Errorf("got %v; want ErrWaiting", err)
		}
		if err := w.s.Confirm(background, store.By{Who: "ann's other token", Owner: "ann", Why: "so"}, i.ID); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("the same owner: got %v; want ErrInvalid", err)
		}
		if err := w.s.Confirm(background, store.By{Who: "bob", Owner: "bob", Why: "looked at it"}, i.ID); err != nil {
			t.Fatal(err)
		}
		rev, _ := w.s.Revision(background)
		done := w.publish(i.ID)
		if done.ConfirmedBy.Owner != "bob" {
			t.Errorf("confirmed by %+v; want bob", done.ConfirmedBy)
		}
		for _, p := range w.since(rev) {
			if p.Import != i.ID || p.Flips != 1_190 {
				t.Errorf("revision %s: import %q, %d flips; want %q, 1,190", p.Revision, p.Import, p.Flips, i.ID)
			}
		}
		// The state before comes back by one command, without a second person.
		undo, err := w.s.Undo(background, staff, i.ID)
		if err != nil {
			t.Fatal(err)
		}
		if c := w.publish(undo.ID).Counts; c.Changed != 1_190 {
			t.Errorf("got %+v; want 1,190 changed back", c)
		}
		all, _, _ := w.all()
		for _, f := range before {
			if got := all[store.KeyOf(&f)]; !same(got, f) {
				t.Fatalf("got %+v; want %+v", got, f)
			}
		}
	})
}

func TestUndo(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		person := filing("京ICP备00009999号-1", "p.example.com")
		person.Entity.Nature, person.Entity.Name = registry.Individual, "某某"
		old := append(many(0, 4), person)
		w.load(complete, old...)
		changed := slices.Clone(old)
		for i := range changed {
			changed[i].Restricted = true
		}
		remove := complete
		remove.Remove = true
		i := w.load(remove, append(changed[1:], many(10, 2)...)...) // the first is gone, two are new
		w.edit(func(e *store.Edit) error { return e.CancelFiling(store.KeyOf(&changed[2])) })
		undo, err := w.s.Undo(background, staff, i.ID)
		if err != nil {
			t.Fatal(err)
		}
		w.publish(undo.ID)
		all, _, _ := w.all()
		if len(all) != 5 {
			t.Errorf("got %d filings; want the 5 before", len(all))
		}
		for n, f := range old {
			got, err := w.s.Filing(background, store.KeyOf(&f))
			if err != nil {
				t.Error(err)
				continue
			}
			if n == 2 { // somebody has changed it since
				f.Restricted, f.Status = true, registry.StatusCancelled
			}
			if !same(got.Filing, f) {
				t.Errorf("got %+v; want %+v", store.ViewOf(&got.Filing), store.ViewOf(&f))
			}
		}
		if undo, err = w.s.Import(background, undo.ID); err != nil || undo.Counts.Skipped != 1 || undo.Undoes != i.ID {
			t.Errorf("got %+v, %v; want 1 skipped", undo, err)
		}
	})
}

// TestOthersChangeMeanwhile: an import does not take back what others did between
// its comparison and its end.
func TestOthersChangeMeanwhile(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		start, _ := w.s.Revision(background)
		w.load(complete, many(0, 3)...)
		i := w.stage(complete, of(append(many(1, 2), many(50, 2)...)...)) // 0 is missing, 50 and 51 are new
		w.edit(func(e *store.Edit) error {
			return e.SetAccess("京ICP备00000001号-1", registry.Access{Provider: "cloud-b"})
		})
		mine := filing("京ICP备00000051号-1", "n50.example.com", registry.Access{Provider: "cloud-c"})
		app := filing("京ICP备00007777号-1A", "n51.example.com")
		app.Site.Kind = registry.KindApp
		w.put(mine, app)
		done := w.publish(i.ID)
		all, _, _ := w.all()
		if f := all["京ICP备00000001号-1"]; f.Status != registry.StatusNormal || len(f.Accesses) != 2 || done.Counts.Skipped != 2 {
			t.Errorf("got %+v, %+v; want the filing that was changed as it was", f, done.Counts)
		}
		if f := all[store.KeyOf(&mine)]; len(all) != 6 || !same(f, mine) {
			t.Errorf("got %+v of %d filings; want what was added meanwhile, of 6", f, len(all))
		}
		w.replays(start)
	})
}

// TestImportMeetsItself: rows with and without a number of one site.
func TestImportMeetsItself(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		start, _ := w.s.Revision(background)
		numbered, bare := filing("京ICP备00000001号-1", "example.com"), filing("京ICP备00000001号-1", "example.com", registry.Access{Provider: "cloud-a"})
		bare.Site.Number, numbered.AccessesKnown = registry.Number{}, false
		two := filing("京ICP备00000002号-1", "example.org")
		app := filing("京ICP备00000002号-2A", "example.org")
		app.Site.Kind = registry.KindApp
		w.load(complete, numbered, bare, two, app)
		all, _, _ := w.all()
		if f := all["京ICP备00000001号-1"]; len(all) != 3 || len(f.Accesses) != 1 {
			t.Errorf("got %+v; want 3 filings, the first with its access", all)
		}
		w.replays(start)
	})
}

// TestDeadImport: what died while it was staged is dropped by the next one.
func TestDeadImport(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.load(complete, many(0, 3)...)
		cut := errors.New("cut")
		i, err := w.s.Stage(background, staff, complete, func(adder func() func(registry.Filing) error) error { return cut })
		if !errors.Is(err, cut) || i.State != store.ImportDropped {
			t.Errorf("got %v, %s; want the error, dropped", err, i.State)
		}
		if _, err := w.s.Publish(background, i.ID, nil); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("got %v; want ErrInvalid", err)
		}
		staged := w.stage(complete, of(many(0, 2)...))
		if err := w.s.Drop(background, staff, staged.ID); err != nil {
			t.Fatal(err)
		}
		if all, _, _ := w.all(); len(all) != 3 {
			t.Errorf("got %d filings; want 3", len(all))
		}
	})
}

// TestLoad drops the indexes and makes them again.
func TestLoad(t *testing.T) {
	const n = 5000
	store.SetLimits(t, 10_000, n)
	onEach(t, func(t *testing.T, w *world) {
		start, _ := w.s.Revision(background)
		list := many(0, n)
		w.publish(w.stage(complete, of(list...)).ID)
		for _, i := range []int{0, n / 2, n - 1} {
			if got, err := w.s.Filings(background, list[i].Site.Domains[0]); err != nil || len(got) != 1 || !same(got[0].Filing, list[i]) {
				t.Errorf("filing %d: got %+v, %v", i, got, err)
			}
		}
		if c := w.stage(complete, of(list...)).Counts; c.Unchanged != n {
			t.Errorf("got %+v; want all unchanged", c)
		}
		w.replays(start)
		if missing := w.missingIndexes(); len(missing) > 0 {
			t.Errorf("indexes %q are missing", missing)
		}
	})
}

// missingIndexes names what a load drops and is not there.
func (w *world) missingIndexes() (missing []string) {
	w.Helper()
	query, driver := "SELECT name FROM sqlite_master", "sqlite"
	if strings.Contains(w.dsn, "dbname=") {
		query, driver = "SELECT indexname FROM pg_indexes UNION SELECT conname FROM pg_constraint", "pgx"
	}
	db, err := sql.Open(driver, w.dsn)
	if err != nil {
		w.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		w.Fatal(err)
	}
	defer rows.Close()
	there := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			w.Fatal(err)
		}
		there[name] = true
	}
	for _, name := range []string{"domain_name", "site_entity_number", "domain_site", "access_site", "site_entity"} {
		constraint := driver == "sqlite" && name != "domain_name" && name != "site_entity_number"
		if !there[name] && !constraint {
			missing = append(missing, name)
		}
	}
	return missing
}
