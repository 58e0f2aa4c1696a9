package index_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// TestDigest: through every revision the digest that is kept is that of the view,
// and that of an index built of the same filings; changes that went through bytes
// make the same registry.
func TestDigest(t *testing.T) {
	for _, test := range []struct{ rounds, filings, labels, blacklist, steps, parts int }{
		{30, 8, 2, 2, 12, 3},
		{2, 300, 8, 20, 20, 30},
	} {
		for round := range test.rounds {
			m := newModel(uint64(round), test.labels, test.filings, test.blacklist)
			var live, wired index.Live
			live.Swap(m.build(t))
			wired.Swap(m.build(t))
			if err := live.KeepDigest(nil, m.revision); err != nil {
				t.Fatal(err)
			}
			if err := wired.KeepDigest(nil, m.revision); err != nil {
				t.Fatal(err)
			}
			for step := range test.steps {
				changes := m.step(1 + m.IntN(test.parts))
				apply(t, &live, changes...)
				apply(t, &wired, wire(t, changes)...)
				sameDigests(t, m, &live, &wired)
				if step%5 == 4 {
					live.Swap(m.build(t)) // of the same revision: the digest stays
				}
			}
			if a, b := compacted(t, &live), compacted(t, &wired); !bytes.Equal(a, b) {
				t.Fatal("changes that went through bytes make another snapshot")
			}
			repaired(t, m, live.View())
		}
	}
}

// wire sends changes through their bytes.
func wire(t testing.TB, changes []registry.Change) (got []registry.Change) {
	t.Helper()
	for _, c := range changes {
		b := index.AppendChange(nil, &c)
		d, err := index.ParseChange(b, c.Revision)
		if err != nil {
			t.Fatalf("ParseChange of %+v: %v", c, err)
		}
		if again := index.AppendChange(nil, &d); !bytes.Equal(again, b) {
			t.Fatalf("%+v has the bytes %x and, read again, %x", c, b, again)
		}
		got = append(got, d)
	}
	return got
}

func sameDigests(t *testing.T, m *model, lives ...*index.Live) {
	t.Helper()
	want, err := m.build(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lives {
		got, rev, ok := l.Digest()
		if !ok || rev != m.revision || *got != *want {
			t.Fatalf("the digest that is kept is %x of %s (%t); want %x of %s", got.Sum(), rev, ok, want.Sum(), m.revision)
		}
		if got, err := l.View().Digest(); err != nil || *got != *want {
			t.Fatalf("the digest of the view is %x (%v); want %x", got.Sum(), err, want.Sum())
		}
	}
}

func compacted(t *testing.T, l *index.Live) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "compacted")
	if err := l.Compact(context.Background(), path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// repaired: what lies in all buckets makes the registry of nothing, and what lies
// in some of them, with what a registry without them has, makes it whole.
func repaired(t *testing.T, m *model, v *index.View) {
	t.Helper()
	buckets := make([]int, index.DigestBuckets)
	for i := range buckets {
		buckets[i] = i
	}
	o := testOptions
	o.Revision = m.revision
	o.Revision.Rev--
	for at := 0; at <= len(buckets); at += 1024 {
		var live index.Live
		live.Swap(build(t, o, nil))
		var changes []registry.Change
		for _, part := range [][]int{buckets[:at], buckets[at:]} {
			for c := range v.In(part) {
				changes = append(changes, c)
			}
		}
		if len(changes) == 0 {
			changes = []registry.Change{{Revision: m.revision}}
		}
		apply(t, &live, changes...)
		got, err := live.View().Digest()
		want, err2 := m.build(t).Digest()
		if err != nil || err2 != nil || *got != *want {
			t.Fatalf("repaired, the digest is %x; want %x (%v, %v)", got.Sum(), want.Sum(), err, err2)
		}
		if got, want := live.View().Info(), m.build(t).Info(); got.Filings != want.Filings || got.Names != want.Names || got.Blacklisted != want.Blacklisted {
			t.Fatalf("repaired, the registry has %+v; want %+v", got, want)
		}
	}
}

// Digests of different contents differ, in the buckets of what differs.
func TestDigestDiffers(t *testing.T) {
	var f, g registry.Filing
	m := newModel(3, 3, 40, 3)
	for f = m.filing(); len(f.Site.Domains) != 1; f = m.filing() {
	}
	g = f
	g.Restricted = !f.Restricted
	a, err1 := build(t, testOptions, []registry.Filing{f}).Digest()
	b, err2 := build(t, testOptions, []registry.Filing{g}).Digest()
	c, err3 := build(t, testOptions, nil).Digest()
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	if got := a.Differ(b); len(got) != 1 {
		t.Errorf("one filing is different: digests differ in buckets %v; want one", got)
	}
	if *c != (index.Digest{}) || a.Sum() == b.Sum() || a.Sum() == 0 {
		t.Errorf("sums are %x, %x and %x; want three different ones, the last 0", a.Sum(), b.Sum(), c.Sum())
	}
	o := testOptions
	o.Key[3]++
	if d, err := build(t, o, []registry.Filing{f}).Digest(); err != nil || d.Sum() == a.Sum() {
		t.Errorf("with another key the sum is %x again (%v)", d.Sum(), err)
	}
}

func TestKeepDigestErrors(t *testing.T) {
	var live index.Live
	if err := live.KeepDigest(nil, registry.Revision{}); err == nil {
		t.Error("KeepDigest of no registry succeeded")
	}
	live.Swap(at(t, 7))
	if err := live.KeepDigest(new(index.Digest), after(8)); err == nil {
		t.Error("KeepDigest of another revision succeeded")
	}
	if _, _, ok := live.Digest(); ok {
		t.Error("a digest is kept though nobody asked for it")
	}
	if err := live.KeepDigest(nil, live.View().Revision()); err != nil {
		t.Fatal(err)
	}
	live.Swap(at(t, 9))
	if _, _, ok := live.Digest(); ok {
		t.Error("a digest outlived the registry that it is of")
	}
}

// FuzzChange: no bytes make a panic or a change that Check refuses, and what
// reads is what is written.
func FuzzChange(f *testing.F) {
	m := newModel(1, 3, 40, 3)
	for range 30 {
		for _, c := range m.step(3) {
			f.Add(index.AppendChange(nil, &c))
		}
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := index.ParseChange(b, testRevision)
		if err != nil {
			return
		}
		if err := c.Check(); err != nil {
			t.Fatalf("%x reads as a change that is refused: %v", b, err)
		}
		again := index.AppendChange(nil, &c)
		d, err := index.ParseChange(again, testRevision)
		if err != nil {
			t.Fatalf("%x reads, but what it is written as does not: %v", b, err)
		}
		if twice := index.AppendChange(nil, &d); !bytes.Equal(twice, again) || !reflect.DeepEqual(c.Name, d.Name) {
			t.Fatalf("%x is written as %x and as %x", b, again, twice)
		}
	})
}
