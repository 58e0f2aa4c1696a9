package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/store"
)

// filing makes a filing of one domain.
func filing(number, domain string, accesses ...registry.Access) registry.Filing {
	n := registry.MustParseNumber(number)
	return registry.Filing{
		Site:          registry.Site{Number: n, Name: "Sample site", Domains: []registry.Domain{registry.MustParseDomain(domain)}, FiledAt: day(2021, 3, 1)},
		Entity:        registry.Entity{Number: n.Entity(), Name: "Sample company", Nature: registry.Enterprise},
		UpdatedAt:     day(2022, 1, 1),
		Accesses:      accesses,
		AccessesKnown: true,
	}
}

func day(y int, m time.Month, d int) time.Time {
	return time.Date(y, m, d, 0, 0, 0, 0, time.FixedZone("CST", 8*3600))
}

func (w *world) edit(do func(*store.Edit) error) registry.Revision {
	w.Helper()
	rev, err := w.s.Edit(background, staff, do)
	if err != nil {
		w.Fatal(err)
	}
	return rev
}

func (w *world) put(list ...registry.Filing) registry.Revision {
	w.Helper()
	return w.edit(func(e *store.Edit) error {
		for _, f := range list {
			if err := e.PutFiling(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// since returns all revisions after one.
func (w *world) since(rev registry.Revision) (list []store.Published) {
	w.Helper()
	for {
		more, err := w.s.Changes(background, rev, 100)
		if err != nil {
			w.Fatal(err)
		}
		if len(more) == 0 {
			return list
		}
		list = append(list, more...)
		rev = more[len(more)-1].Revision
	}
}

// all returns what a view holds.
func (w *world) all() (filings map[string]registry.Filing, blacklist []string, entries []registry.Entry) {
	w.Helper()
	filings = map[string]registry.Filing{}
	err := w.s.View(background, func(v *store.View) error {
		return errors.Join(
			v.Filings(func(f registry.Filing) error { filings[store.KeyOf(&f)] = f; return nil }),
			v.Blacklist(func(d registry.Domain) error { blacklist = append(blacklist, d.String()); return nil }),
			v.Entries(func(e registry.Entry) error { entries = append(entries, e); return nil }),
		)
	})
	if err != nil {
		w.Fatal(err)
	}
	return filings, blacklist, entries
}

func same(a, b registry.Filing) bool { return reflect.DeepEqual(store.ViewOf(&a), store.ViewOf(&b)) }

// TestFilingsAreRecords: both ways to read all filings read the same, whatever texts
// hold.
func TestFilingsAreRecords(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		var list []registry.Filing
		for i, text := range []string{"", "|", "a|b", "\x01\x1f", "'\"\n", "某某", " ", "%s\\"} {
			f := filing(fmt.Sprintf("京ICP备%08d号-1", i+1), fmt.Sprintf("n%d.example.gov.cn", i), registry.Access{Provider: "cloud-b", Status: registry.AccessReviewed, At: -5}, registry.Access{Provider: "cloud-a"})
			f.Site.Name, f.Entity.Name = text, text
			f.Restricted, f.Status = i%2 == 0, registry.Status(i%4)
			if i%3 == 0 {
				f.Site.FiledAt, f.UpdatedAt, f.FiledAddr = time.Time{}, time.Time{}, netip.MustParseAddr("2001:db8::7")
				f.Accesses, f.AccessesKnown = nil, i == 3
			}
			if i%3 == 1 {
				f.Covers = []string{"img", "*"}[:1+i%2]
				f.Site.FiledAt = day(2015, 1, 1)
				f.Site.Domains = append(f.Site.Domains, registry.MustParseDomain(fmt.Sprintf("m%d.example.com", i)))
			}
			list = append(list, f)
		}
		w.put(append(list, registry.Filing{Site: registry.Site{Kind: registry.KindIP}, Addr: netip.MustParseAddr("192.0.2.9")})...)
		var filings, records []registry.Filing
		err := w.s.View(background, func(v *store.View) error {
			return errors.Join(
				v.Filings(func(f registry.Filing) error { filings = append(filings, f); return nil }),
				v.Records(func(r store.Record) error { records = append(records, r.Filing); return nil }),
			)
		})
		if err != nil || len(filings) != len(list)+1 || len(records) != len(filings) {
			t.Fatalf("got %d filings, %d records, %v; want %d", len(filings), len(records), err, len(list)+1)
		}
		for i := range filings {
			if want := records[i]; !reflect.DeepEqual(filings[i], want) {
				t.Errorf("got %+v; want %+v", filings[i], want)
			}
		}
	})
}

func TestFilingComesBack(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		f := filing("京ICP备00000001号-1", "example.com", registry.Access{Provider: "cloud-b", Status: registry.AccessReviewed, At: 1700000000}, registry.Access{Provider: "cloud-a"})
		f.Covers, f.FiledAddr, f.Restricted, f.Status = nil, netip.MustParseAddr("192.0.2.7"), true, registry.StatusChangePending
		person := filing("京ICP备00000002号-1", "example.org")
		person.Entity.Nature, person.Entity.Name = registry.Individual, "某某"
		person.Accesses, person.AccessesKnown = nil, false
		ip := registry.Filing{Site: registry.Site{Kind: registry.KindIP}, Addr: netip.MustParseAddr("192.0.2.9")}
		gov := filing("京ICP备00000003号-1", "unit.example.gov.cn")
		gov.Covers = []string{"img", "files"}
		rev := w.put(f, person, ip, gov)
		w.reopen()
		if now, err := w.s.Revision(background); err != nil || now != rev {
			t.Errorf("got revision %s, %v; want %s", now, err, rev)
		}
		for _, want := range []registry.Filing{f, person, ip, gov} {
			got, err := w.s.Filing(background, store.KeyOf(&want))
			if err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(want.Accesses, func(a, b registry.Access) int { return strings.Compare(string(a.Provider), string(b.Provider)) })
			if !same(got.Filing, want) {
				t.Errorf("got %+v; want %+v", store.ViewOf(&got.Filing), store.ViewOf(&want))
			}
			if got.Rev != rev.Rev {
				t.Errorf("got revision %d; want %d", got.Rev, rev.Rev)
			}
		}
		all, _, _ := w.all()
		if len(all) != 4 || all["京ICP备00000002号-1"].Entity.Name != "" || all["京ICP备00000001号-1"].Entity.Name == "" {
			t.Errorf("got %v; want 4 filings, the name of the person left out", all)
		}
		for _, text := range []string{"example.com", "192.0.2.9", "京ICP备00000003号", "京ICP备00000003号-1"} {
			if list, err := w.s.Find(background, text); err != nil || len(list) != 1 {
				t.Errorf("find %q: got %d filings, %v; want 1", text, len(list), err)
			}
		}
	})
}

func TestRevisionSaysWhatIsNow(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		start, _ := w.s.Revision(background)
		a, b := filing("京ICP备00000001号-1", "example.com"), filing("京ICP备00000002号-1", "example.com")
		b.Site.Kind = registry.KindApp
		b.Site.Number = b.Site.Number.Entity().Site(1, registry.KindApp)
		w.put(a)
		w.put(b)
		w.put(b) // nothing new
		a.Status = registry.StatusCancelled
		w.put(a)
		w.edit(func(e *store.Edit) error { return e.RemoveFiling(store.KeyOf(&a)) })
		want := []string{"1 normal", "2 normal normal", "3 cancelled normal", "4 normal"}
		var got []string
		for _, p := range w.since(start) {
			line := fmt.Sprint(p.Revision.Rev)
			for _, c := range p.Changes {
				for _, f := range c.Filings {
					line += " " + f.Status.String()
				}
			}
			got = append(got, line)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q; want %q", got, want)
		}
	})
}

func TestNumberThatBecomesKnown(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		f := filing("京ICP备00000001号-1", "example.com")
		bare := f
		bare.Site.Number = registry.Number{}
		w.put(bare)
		w.put(f)
		if all, _, _ := w.all(); len(all) != 1 || all["京ICP备00000001号-1"].Site.Name == "" {
			t.Errorf("got %v; want the filing with its number alone", all)
		}
	})
}

func TestBadInputLeavesNoTrace(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		good, bad := filing("京ICP备00000001号-1", "example.com"), filing("京ICP备00000002号-1", "example.com")
		bad.Site.Domains = nil
		before, _ := w.s.Revision(background)
		_, err := w.s.Edit(background, staff, func(e *store.Edit) error {
			if err := e.PutFiling(good); err != nil {
				return err
			}
			return e.PutFiling(bad)
		})
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("got %v; want ErrInvalid", err)
		}
		for _, by := range []store.By{{}, {Who: "ann"}, {Why: "so"}} {
			if _, err := w.s.Edit(background, by, func(e *store.Edit) error { return e.PutFiling(good) }); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("by %+v: got %v; want ErrInvalid", by, err)
			}
		}
		if now, _ := w.s.Revision(background); now != before {
			t.Errorf("revision went from %s to %s", before, now)
		}
		if all, _, _ := w.all(); len(all) != 0 {
			t.Errorf("got %v; want no filing", all)
		}
	})
}

func TestBlacklistOfEntity(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		start, _ := w.s.Revision(background)
		f := filing("京ICP备00000001号-1", "example.com")
		w.put(f)
		d := registry.MustParseDomain("example.com")
		w.edit(func(e *store.Edit) error { return e.Blacklist(d, "on the authority's list") })
		w.edit(func(e *store.Edit) error { return e.BlacklistEntity(f.Entity.Number, "as well") }) // it is listed already
		w.put(filing("京ICP备00000001号-2", "example.org"))                                           // of a listed entity
		w.edit(func(e *store.Edit) error { return e.Unblacklist(d) })                              // still by its entity
		w.edit(func(e *store.Edit) error { return e.BlacklistEntity(f.Entity.Number, "") })
		var got []string
		for _, p := range w.since(start) {
			for _, c := range p.Changes {
				got = append(got, fmt.Sprintf("%d %s %s", p.Revision.Rev, c.Kind, c.Name))
			}
		}
		want := []string{"1 filings example.com", "2 listed example.com", "3 filings example.org", "3 listed example.org", "4 unlisted example.com", "4 unlisted example.org"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q; want %q", got, want)
		}
		if _, list, _ := w.all(); len(list) != 0 {
			t.Errorf("got %q on the blacklist; want none", list)
		}
	})
}

func TestLists(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		start, _ := w.s.Revision(background)
		until := w.clock().Add(time.Hour)
		name := registry.MustParseDomain("example.com")
		w.edit(func(e *store.Edit) error {
			return errors.Join(
				e.Exempt(store.Exemption{Name: name, Below: true, Until: until, Authority: true}),
				e.Set(registry.Entry{List: registry.ListNetworks, Key: "192.0.2.0/24", Value: "Cloud-A ecs cn-test  mainland"}),
				e.Set(registry.Entry{List: registry.ListProfiles, Key: "* cdn", Value: "filing origin-here=access"}),
				e.Set(registry.Entry{List: registry.ListBindings, Key: "*.example.com", Value: "cdn origin=here acceleration=global"}),
				e.Set(registry.Entry{List: registry.ListSuffixes, Key: "cdn.example.net", Value: "cloud-a cdn"}),
				e.Set(registry.Entry{List: registry.ListTLDs, Key: "com"}),
				e.PutServer(registry.Server{ID: "i-1", Provider: "cloud-a", Product: registry.ECS, Region: "cn-test", Quota: 5,
					Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32")}}),
				e.PutServer(registry.Server{ID: "i-2", Provider: "cloud-b", Product: registry.CDN, Place: registry.Overseas,
					Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.8/32")}}),
			)
		})
		_, _, entries := w.all()
		want := []registry.Entry{
			{List: registry.ListExemptions, Key: "*.example.com", Value: "until 2026-03-01T09:00:00Z authority"},
			{List: registry.ListNetworks, Key: "192.0.2.0/24", Value: "cloud-a ecs cn-test mainland"},
			{List: registry.ListServers, Key: "198.51.100.7", Value: "cloud-a ecs cn-test"},
			{List: registry.ListServers, Key: "198.51.100.8", Value: "cloud-b cdn - overseas"},
			{List: registry.ListBindings, Key: "*.example.com", Value: "cdn acceleration=global origin=here"},
			{List: registry.ListSuffixes, Key: "cdn.example.net", Value: "cloud-a cdn"},
			{List: registry.ListProfiles, Key: "* cdn", Value: "filing origin-here=access"},
			{List: registry.ListTLDs, Key: "com"},
		}
		if !slices.Equal(entries, want) {
			t.Errorf("got %+v; want %+v", entries, want)
		}
		w.edit(func(e *store.Edit) error {
			return errors.Join(e.Unexempt(name, true), e.RemoveServer("i-1"), e.Set(registry.Entry{List: registry.ListTLDs, Key: "com", Gone: true}))
		})
		list := w.since(start)
		gone := 0
		for _, e := range list[len(list)-1].Entries {
			if e.Gone && e.Value == "" {
				gone++
			}
		}
		if len(list) != 2 || gone != 3 {
			t.Errorf("got %d revisions, %d entries gone in the last; want 2 and 3", len(list), gone)
		}
		for _, bad := range []registry.Entry{
			{List: registry.ListNetworks, Key: "192.0.2.1/24", Value: "a ecs r mainland"}, {List: registry.ListNetworks, Key: "192.0.2.0/24", Value: "a ecs"},
			{List: registry.ListNetworks, Key: "192.0.2.0/24", Value: "a nonsense r"}, {List: registry.ListProfiles, Key: "a", Value: "access"},
			{List: registry.ListProfiles, Key: "a ecs", Value: "none"}, {List: registry.ListTLDs, Key: "com.cn"}, {List: registry.ListExemptions, Key: "a.example"},
			{List: registry.ListBindings, Key: "example.com", Value: "cdn origin=mars"}, {List: registry.ListTLDs, Key: "zz zz"}, {},
		} {
			if _, err := w.s.Edit(background, staff, func(e *store.Edit) error { return e.Set(bad) }); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%+v: got %v; want ErrInvalid", bad, err)
			}
		}
	})
}

func TestServiceNumbers(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		f := filing("京ICP备00000001号-1", "example.com")
		w.put(f)
		v := registry.Server{ID: "i-1", Provider: "cloud-a", Product: registry.ECS, Account: "a", Quota: 2}
		w.edit(func(e *store.Edit) error {
			return errors.Join(e.PutServer(v), e.AddServiceNumber("n1", "i-1", ""), e.AddServiceNumber("n2", "i-1", "b"))
		})
		refuse := func(what string, do func(*store.Edit) error) {
			t.Helper()
			if _, err := w.s.Edit(background, staff, do); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%s: got %v; want ErrInvalid", what, err)
			}
		}
		refuse("a third number of a quota of two", func(e *store.Edit) error { return e.AddServiceNumber("n3", "i-1", "") })
		refuse("a smaller quota", func(e *store.Edit) error { v := v; v.Quota = 1; return e.PutServer(v) })
		w.edit(func(e *store.Edit) error { return e.SpendServiceNumber("n1", store.KeyOf(&f)) })
		refuse("a spent number", func(e *store.Edit) error { return e.SpendServiceNumber("n1", store.KeyOf(&f)) })
		refuse("to give a spent number", func(e *store.Edit) error { return e.GiveServiceNumber("n1", "c") })
		refuse("to remove a server with numbers", func(e *store.Edit) error { return e.RemoveServer("i-1") })
		list, err := w.s.ServiceNumbers(background, "i-1")
		want := []store.ServiceNumber{{Number: "n1", Server: "i-1", State: store.NumberSpent, Account: "a", Filing: store.KeyOf(&f)}, {Number: "n2", Server: "i-1", State: store.NumberGiven, Account: "b"}}
		if err != nil || !slices.Equal(list, want) {
			t.Errorf("got %+v, %v; want %+v", list, err, want)
		}
	})
}

// TestManyWriters: revisions are committed in their order, without a gap, and who
// waits hears of each in time.
func TestManyWriters(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		const writers, each = 8, 12
		start, _ := w.s.Revision(background)
		var group, reader sync.WaitGroup
		ctx, cancel := context.WithCancel(background)
		seen := start
		reader.Go(func() {
			for ctx.Err() == nil {
				now, err := w.s.Wait(ctx, seen)
				if err != nil {
					return
				}
				list, err := w.s.Changes(ctx, seen, 1<<20)
				if err != nil || len(list) == 0 || list[0].Revision.Rev != seen.Rev+1 {
					t.Errorf("after %s, told of %s: got %d revisions, %v", seen, now, len(list), err)
					return
				}
				if seen = list[len(list)-1].Revision; seen.Rev == start.Rev+writers*each {
					cancel()
				}
			}
		})
		got := make([][]uint64, writers)
		for i := range writers {
			group.Go(func() {
				for j := range each {
					f := filing(fmt.Sprintf("京ICP备%08d号-%d", i+1, j+1), fmt.Sprintf("w%d-%d.example.com", i, j))
					rev, err := w.s.Edit(background, staff, func(e *store.Edit) error { return e.PutFiling(f) })
					if err != nil {
						t.Error(err)
						return
					}
					got[i] = append(got[i], rev.Rev)
				}
			})
		}
		group.Wait()
		reader.Wait()
		cancel()
		all := slices.Concat(got...)
		slices.Sort(all)
		for i, rev := range all {
			if rev != start.Rev+1+uint64(i) {
				t.Fatalf("revision %d is missing or was given twice: %v", start.Rev+1+uint64(i), all)
			}
		}
		if seen.Rev != start.Rev+writers*each {
			t.Errorf("the reader saw %s; want %d revisions", seen, writers*each)
		}
	})
}

// TestOtherProgramsChanges: on PostgreSQL several programs have the registry open.
func TestOtherProgramsChanges(t *testing.T) {
	w := &world{T: t, dsn: postgresDSN(t), now: time.Now(), key: store.NewKey()}
	w.open()
	defer w.s.Close()
	other := &world{T: t, dsn: w.dsn, now: w.now, key: w.key}
	other.open()
	defer other.s.Close()
	before, _ := w.s.Revision(background)
	heard := make(chan registry.Revision)
	go func() {
		rev, _ := w.s.Wait(background, before)
		heard <- rev
	}()
	made := other.put(filing("京ICP备00000001号-1", "example.com"))
	if rev := <-heard; rev != made {
		t.Errorf("heard of %s; want %s", rev, made)
	}
	if _, err := store.Open(background, w.dsn, store.Options{Now: w.clock, Key: w.key, Exclusive: true}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("exclusive beside others: got %v; want ErrInUse", err)
	}
}

func TestInUse(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		o := store.Options{Now: w.clock, Key: w.key, Exclusive: true}
		if _, err := store.Open(background, w.dsn, o); !errors.Is(err, store.ErrInUse) {
			t.Errorf("got %v; want ErrInUse", err)
		}
		w.s.Close()
		alone, err := store.Open(background, w.dsn, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(background, w.dsn, store.Options{Now: w.clock, Key: w.key}); !errors.Is(err, store.ErrInUse) {
			t.Errorf("got %v; want ErrInUse", err)
		}
		alone.Close()
		w.open()
	})
}

func TestWrongKey(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.s.Close()
		for _, o := range []store.Options{{}, {Key: store.NewKey()}} {
			if s, err := store.Open(background, w.dsn, o); err == nil {
				s.Close()
				t.Error("opened without the right key")
			}
		}
		w.open()
	})
}

func TestNewEpoch(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		old := w.put(filing("京ICP备00000001号-1", "example.com"))
		now, err := w.s.NewEpoch(background, staff)
		if err != nil || now.Epoch == old.Epoch || now.Compare(old) <= 0 {
			t.Fatalf("got %s after %s, %v; want a newer epoch", now, old, err)
		}
		if _, err := w.s.Changes(background, old, 10); !errors.Is(err, store.ErrGone) {
			t.Errorf("got %v; want ErrGone", err)
		}
		w.put(filing("京ICP备00000001号-2", "example.org"))
		if list := w.since(now); len(list) != 1 || list[0].Revision.Epoch != now.Epoch {
			t.Errorf("got %+v; want one revision of the new epoch", list)
		}
	})
}

func TestTrim(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		var revs []registry.Revision
		for i := range 5 {
			revs = append(revs, w.put(filing(fmt.Sprintf("京ICP备00000001号-%d", i+1), fmt.Sprintf("e%d.example.com", i))))
		}
		if err := w.s.Trim(background, staff, 2); err != nil {
			t.Fatal(err)
		}
		if _, err := w.s.Changes(background, revs[1], 10); !errors.Is(err, store.ErrGone) {
			t.Errorf("got %v; want ErrGone", err)
		}
		if list := w.since(revs[2]); len(list) != 2 {
			t.Errorf("got %d revisions; want 2", len(list))
		}
	})
}

func TestHistory(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		f := filing("京ICP备00000001号-1", "example.com")
		f.Entity.Nature, f.Entity.Name = registry.Individual, "某某"
		w.put(f)
		w.pass(time.Minute)
		w.edit(func(e *store.Edit) error { return e.SetAccess(store.KeyOf(&f), registry.Access{Provider: "cloud-a"}) })
		w.pass(time.Minute)
		w.edit(func(e *store.Edit) error { return e.Exempt(store.Exemption{Name: f.Site.Domains[0]}) })
		w.pass(time.Minute)
		w.edit(func(e *store.Edit) error { return e.RemoveFiling(store.KeyOf(&f)) })
		events, err := w.s.History(background, "example.com")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			got = append(got, fmt.Sprintf("%d %s %v %v", e.Rev, e.What, e.Was != nil, e.Is != nil))
			if e.Who != "ann" || e.Why != "a test" || strings.Contains(string(e.Was)+string(e.Is), "某某") {
				t.Errorf("got %+v; want who and why, and nothing personal", e)
			}
		}
		want := []string{"1 filing false true", "2 filing true true", "3 exemptions false true", "4 filing true false"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q; want %q", got, want)
		}
	})
}

// TestCoverageIsTheIndexs compares the tables with an index of them.
func TestCoverageIsTheIndexs(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		app := filing("京ICP备00000004号-1A", "example.com")
		app.Site.Kind = registry.KindApp
		unit := filing("京ICP备00000005号-1", "a.example.gov.cn")
		unit.Covers = []string{"img"}
		w.put(filing("京ICP备00000001号-1", "example.com", registry.Access{Provider: "cloud-a"}), filing("京ICP备00000002号-1", "shop.example.com"),
			filing("京ICP备00000003号-1", "example.org"), app, unit)
		w.edit(func(e *store.Edit) error { return e.Blacklist(registry.MustParseDomain("example.org"), "so") })
		b := index.NewBuilder(index.Options{})
		err := w.s.View(background, func(v *store.View) error {
			return errors.Join(v.Filings(b.Add), v.Blacklist(func(d registry.Domain) error { b.Blacklist(d); return nil }))
		})
		if err != nil {
			t.Fatal(err)
		}
		x, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"example.com", "www.example.com", "a.shop.example.com", "www.example.org", "example.net", "com",
			"a.example.gov.cn", "www.a.example.gov.cn", "img.a.example.gov.cn", "b.a.example.gov.cn", "b.example.gov.cn"} {
			d := registry.MustParseDomain(text)
			got, err := w.s.Coverage(background, d)
			if err != nil {
				t.Fatal(err)
			}
			want := x.Cover(d)
			if fmt.Sprint(coverings(got)) != fmt.Sprint(coverings(want)) || got.Blacklisted != want.Blacklisted || got.GovFiled != want.GovFiled || !got.Loaded {
				t.Errorf("%s: got %+v; want %+v", text, got, want)
			}
		}
	})
}

func coverings(c registry.Coverage) (list []string) {
	for _, f := range c.Filings {
		list = append(list, fmt.Sprintf("%d %s %s %v %v %v %v", f.Filed, f.Kind, f.Status, f.Inherited, f.Restricted, f.AccessesKnown, f.Accesses))
	}
	slices.Sort(list)
	return list
}
