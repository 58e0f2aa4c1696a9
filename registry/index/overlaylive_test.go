package index_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// refile is a change of a name's filings; rev counts from that of testOptions.
func refile(rev uint64, name string, filings ...registry.Filing) registry.Change {
	return registry.Change{Revision: after(rev), Kind: registry.ChangeFilings, Name: registry.MustParseDomain(name), Filings: filings}
}

func relist(rev uint64, kind registry.ChangeKind, name string) registry.Change {
	return registry.Change{Revision: after(rev), Kind: kind, Name: registry.MustParseDomain(name)}
}

func after(rev uint64) registry.Revision {
	r := testRevision
	r.Rev += rev
	return r
}

// at builds an index of a revision.
func at(t testing.TB, rev uint64, filings ...registry.Filing) *index.Index {
	t.Helper()
	o := testOptions
	o.Revision = after(rev)
	return build(t, o, filings)
}

func apply(t testing.TB, l *index.Live, changes ...registry.Change) {
	t.Helper()
	if err := l.Apply(changes...); err != nil {
		t.Fatal(err)
	}
}

func filed(v *index.View, name string) bool {
	return len(v.Cover(registry.MustParseDomain(name)).Filings) > 0
}

func TestApplyErrors(t *testing.T) {
	one := refile(1, "a.example", filingOf("a.example"))
	tests := []struct {
		name    string
		changes []registry.Change
		want    string
	}{
		{"an older revision", []registry.Change{refile(0, "a.example")}, "already; the next is number 43"},
		{"a gap", []registry.Change{refile(2, "a.example")}, "number 43 comes first"},
		{"another epoch", []registry.Change{{Revision: registry.Revision{Rev: 43}}}, "another epoch"},
		{"two revisions", []registry.Change{one, refile(2, "b.example")}, "several revisions"},
		{"another name's filing", []registry.Change{one, refile(1, "b.example", filingOf("a.example"))}, "change 2"},
		{"a public suffix", []registry.Change{one, refile(1, "com.cn", filingOf("com.cn"))}, "public suffix"},
		{"name and address", []registry.Change{{Revision: after(1), Kind: registry.ChangeListed, Name: one.Name, Addr: netip.MustParseAddr("192.0.2.1")}}, "one name or one address"},
		{"nothing named", []registry.Change{{Revision: after(1), Kind: registry.ChangeUnlisted}}, "concerns nothing"},
		{"a listed address", []registry.Change{{Revision: after(1), Kind: registry.ChangeListed, Addr: netip.MustParseAddr("192.0.2.1")}}, "names, without filings"},
		{"an unknown kind", []registry.Change{{Revision: after(1), Kind: 9, Name: one.Name}}, "unknown kind 9"},
		{"a name that nothing is done to", []registry.Change{{Revision: after(1), Name: one.Name}}, "takes neither"},
		{"a filing too large", []registry.Change{refile(1, "a.example", large())}, "keeps at most"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var live index.Live
			live.Swap(at(t, 0))
			before := live.View()
			if err := live.Apply(test.changes...); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v; want %q in it", err, test.want)
			}
			if live.View() != before {
				t.Error("the view has changed")
			}
			apply(t, &live, one)
		})
	}
	if err := new(index.Live).Apply(one); err == nil || !strings.Contains(err.Error(), "no snapshot") {
		t.Errorf("got %v; want that there is no snapshot", err)
	}
}

func large() registry.Filing {
	f := filingOf("a.example")
	f.Site.Name = strings.Repeat("x", 1<<16)
	return f
}

// TestApplyRevision: a revision without changes goes on, and the older view stays.
func TestApplyRevision(t *testing.T) {
	var live index.Live
	live.Swap(at(t, 0, filingOf("a.example")))
	first := live.View()
	apply(t, &live)
	if live.View() != first {
		t.Error("no change made a view")
	}
	apply(t, &live, registry.Change{Revision: after(1)})
	second := live.View()
	apply(t, &live, refile(2, "a.example"), refile(2, "a.example", filingOf("a.example")), relist(2, registry.ChangeListed, "b.example"))
	apply(t, &live, refile(3, "a.example"))
	for i, v := range []*index.View{first, second, live.View()} {
		c := v.Cover(registry.MustParseDomain("www.a.example"))
		if rev := []uint64{0, 1, 3}[i]; c.Revision != after(rev) || v.Info().Revision != after(rev) || (len(c.Filings) > 0) != (i < 2) {
			t.Errorf("view %d: got %+v; want revision %s", i, c, after(rev))
		}
	}
	if got := live.View().Info(); got.Filings != 0 || got.Names != 0 || got.Blacklisted != 1 {
		t.Errorf("got %+v; want one listed name and no filing", got)
	}
}

// TestManyChanges: an overlay grows as far as it is told, and every view keeps
// what it had.
func TestManyChanges(t *testing.T) {
	var live index.Live
	live.Swap(at(t, 0))
	views := []*index.View{live.View()}
	const revisions, names = 20, 600
	for rev := range uint64(revisions) {
		var changes []registry.Change
		for i := range names {
			name := fmt.Sprintf("n%d.r%d.example", i, rev)
			changes = append(changes, refile(rev+1, name, filingOf(name)))
		}
		apply(t, &live, changes...)
		views = append(views, live.View())
	}
	for n, v := range views {
		if got := v.Info().Names; got != n*names {
			t.Errorf("revision %d: got %d names; want %d", n, got, n*names)
		}
		for rev := range revisions {
			for i := range names {
				if got, want := filed(v, fmt.Sprintf("n%d.r%d.example", i, rev)), rev < n; got != want {
					t.Fatalf("revision %d: name %d of revision %d is filed: %v; want %v", n, i, rev+1, got, want)
				}
			}
		}
	}
}

// TestSwapKeeps: what is newer than a new snapshot stays, the rest goes with the
// old one.
func TestSwapKeeps(t *testing.T) {
	tests := []struct {
		name    string
		x       *index.Index
		want    registry.Revision
		a, b, c bool
	}{
		{"the snapshot again", at(t, 0), after(3), true, true, true},
		{"in the middle", at(t, 2, filingOf("a.example")), after(3), true, false, true},
		{"the same revision", at(t, 3), after(3), false, false, false},
		{"a newer one", at(t, 9, filingOf("b.example")), after(9), false, true, false},
		{"an older one", at(t, ^uint64(0), filingOf("b.example")), after(^uint64(0)), false, true, false},
		{"another key", keyed(t), after(3), true, false, true},
		{"another epoch", build(t, index.Options{Key: testKey, Revision: registry.Revision{Epoch: registry.Epoch{Made: 1}, Rev: 1}}, nil), registry.Revision{Epoch: registry.Epoch{Made: 1}, Rev: 1}, false, false, false},
		{"none", nil, registry.Revision{}, false, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var live index.Live
			first := at(t, 0)
			live.Swap(first)
			apply(t, &live, refile(1, "a.example", filingOf("a.example")))
			apply(t, &live, refile(2, "b.example", filingOf("b.example")))
			apply(t, &live, refile(3, "c.example", filingOf("c.example")), refile(3, "a.example", filingOf("a.example")))
			if old := live.Swap(test.x); old != first || live.View().Snapshot() != test.x {
				t.Errorf("got another snapshot than was in force")
			}
			v := live.View()
			if got := v.Revision(); got != test.want {
				t.Errorf("got revision %s; want %s", got, test.want)
			}
			if a, b, c := filed(v, "a.example"), filed(v, "b.example"), filed(v, "c.example"); a != test.a || b != test.b || c != test.c {
				t.Errorf("got %v %v %v; want %v %v %v", a, b, c, test.a, test.b, test.c)
			}
		})
	}
}

// keyed has another key, as only another epoch should.
func keyed(t *testing.T) *index.Index {
	return build(t, index.Options{Key: [16]byte{9}, Revision: after(2)}, []registry.Filing{filingOf("a.example")})
}

// TestViewNoAllocs: names that the overlay does not concern cost no allocation,
// nor do those with changed filings alone.
func TestViewNoAllocs(t *testing.T) {
	var live index.Live
	live.Swap(at(t, 0, filingOf("a.example"), filingOf("u.gov.cn"), filingOf("d.example")))
	apply(t, &live, refile(1, "b.example", filingOf("b.example")), refile(1, "x.y.c.example", filingOf("x.y.c.example")),
		refile(1, "v.gov.cn", filingOf("v.gov.cn")), refile(1, "d.example"), relist(1, registry.ChangeListed, "bad.example"))
	v := live.View()
	for _, name := range []string{"a.example", "www.a.example", "q.c.example", "no.test", "u.gov.cn", "www.u.gov.cn", "x.v.gov.cn", "b.example", "www.b.example", "www.d.example", "bad.example"} {
		d := registry.MustParseDomain(name)
		if n := testing.AllocsPerRun(100, func() { sink = v.Cover(d) }); n != 0 {
			t.Errorf("Cover(%q): got %v allocations; want 0", d, n)
		}
	}
	a := netip.MustParseAddr("192.0.2.1")
	if n := testing.AllocsPerRun(100, func() { sink = v.CoverAddr(a) }); n != 0 {
		t.Errorf("CoverAddr: got %v allocations; want 0", n)
	}
}

// TestViewCache: a cache does not answer from an older revision.
func TestViewCache(t *testing.T) {
	var live index.Live
	live.Swap(at(t, 0, filingOf("xn--fsqu00a.cn")))
	cache := index.NewCache(100)
	for rev := range uint64(20) {
		for range 2 {
			_, c, err := cache.Cover(live.View(), "www.例子.cn")
			if err != nil || c.Revision != after(rev) || (len(c.Filings) == 1) != (rev%2 == 0) {
				t.Fatalf("revision %d: got %+v, %v", rev, c, err)
			}
		}
		change := refile(rev+1, "xn--fsqu00a.cn")
		if rev%2 == 1 {
			change.Filings = []registry.Filing{filingOf("xn--fsqu00a.cn")}
		}
		apply(t, &live, change)
	}
	if s := cache.Stats(); s.Hits != 20 || s.Misses != 20 {
		t.Errorf("got %+v; want one hit and one miss a revision", s)
	}
	if _, c, err := cache.Cover((*index.View)(nil), "www.例子.cn"); c.Loaded || err != nil {
		t.Errorf("got %+v, %v; want nothing loaded", c, err)
	}
}

// TestCompact: the new snapshot is the one that a Builder would make; older views
// answer as before, and the file beneath goes when they do.
func TestCompact(t *testing.T) {
	path, before := filepath.Join(t.TempDir(), "registry.icpidx"), index.Mappings()
	var live index.Live
	live.Swap(at(t, 0, filingOf("a.example"), filingOf("b.example")))
	var views []*index.View
	for rev := uint64(1); rev <= 6; rev++ {
		name := fmt.Sprintf("n%d.example", rev)
		apply(t, &live, refile(rev, name, filingOf(name)), refile(rev, "a.example"))
		views = append(views, live.View())
		if rev%2 == 0 {
			continue
		}
		if err := live.Compact(context.Background(), path); err != nil {
			t.Fatal(err)
		}
		if v := live.View(); v.Revision() != after(rev) || v.Snapshot().Info().Revision != after(rev) {
			t.Errorf("got a view at %s of a snapshot at %s; want both at %s", v.Revision(), v.Snapshot().Info().Revision, after(rev))
		}
	}
	for i, v := range views {
		if !filed(v, fmt.Sprintf("n%d.example", i+1)) || filed(v, fmt.Sprintf("n%d.example", i+2)) || filed(v, "www.a.example") || !filed(v, "b.example") {
			t.Errorf("the view of revision %d is not what it was", i+1)
		}
	}
	x, err := index.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fs := []registry.Filing{filingOf("b.example")}
	for rev := range 5 {
		fs = append(fs, filingOf(fmt.Sprintf("n%d.example", rev+1)))
	}
	if want := build(t, index.Options{Key: testKey, Revision: after(5)}, fs); !bytes.Equal(x.Image(), want.Image()) {
		t.Error("the file is not the snapshot that a Builder makes")
	}
	runtime.KeepAlive(views)
	live.Swap(nil)
	awaitMappings(t, before)
}

// TestCompactErrors: a compaction that fails leaves the registry as it was.
func TestCompactErrors(t *testing.T) {
	var live index.Live
	dir := t.TempDir()
	if err := live.Compact(context.Background(), filepath.Join(dir, "x")); err == nil {
		t.Error("nothing was compacted")
	}
	live.Swap(at(t, 0))
	apply(t, &live, refile(1, "a.example", filingOf("a.example")))
	before := live.View()
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := live.Compact(cancelled, filepath.Join(dir, "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want %v", err, context.Canceled)
	}
	if err := live.Compact(context.Background(), filepath.Join(dir, "none", "x")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("got %v; want an error that names the path", err)
	}
	if live.View() != before {
		t.Error("the view has changed")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v; want nothing left behind", left, err)
	}
}
