package feed_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
)

// TestLists: after any changes the lists are what a map says, their digest that of
// lists made at once, and their snapshot reads back.
func TestLists(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	key := [16]byte{1, 2, 3}
	l, want := feed.NewLists(key), map[string]string{}
	for range 3000 {
		e := registry.Entry{List: registry.List(1 + r.IntN(7)), Key: fmt.Sprintf("k%d.test", r.IntN(60)), Gone: r.IntN(3) == 0}
		id := e.List.String() + "\t" + e.Key
		if e.Gone {
			delete(want, id)
		} else {
			e.Value = fmt.Sprintf("aliyun ecs r%d", r.IntN(4))
			want[id] = e.Value
		}
		if err := l.Apply(e); err != nil {
			t.Fatal(err)
		}
		if l.Len() != len(want) {
			t.Fatalf("%d entries; want %d", l.Len(), len(want))
		}
	}
	got := map[string]string{}
	fresh := feed.NewLists(key)
	for e := range l.All() {
		got[e.List.String()+"\t"+e.Key] = e.Value
		if err := fresh.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	if !maps.Equal(got, want) || fresh.Digest() != l.Digest() || l.Digest() == 0 {
		t.Errorf("lists hold %v; want %v (digest %x, made at once %x)", got, want, l.Digest(), fresh.Digest())
	}
	if other := feed.NewLists([16]byte{9}); other.Apply(slices.Collect(l.All())[0]) != nil || other.Digest() == fresh.Digest() {
		t.Error("another key gives the same digest")
	}
	b := l.Append(nil)
	read, skipped, err := feed.ReadLists(bytes.NewReader(b), key)
	if err != nil || skipped != 0 || read.Digest() != l.Digest() || !bytes.Equal(read.Append(nil), b) {
		t.Errorf("the snapshot reads back as %d entries (%d skipped): %v", read.Len(), skipped, err)
	}
	c := l.Clone()
	if err := c.Apply(registry.Entry{List: registry.ListTLDs, Key: "test"}); err != nil || c.Len() != l.Len()+1 {
		t.Errorf("a clone has %d entries, what it was made of %d (%v)", c.Len(), l.Len(), err)
	}
}

func TestListFile(t *testing.T) {
	l := feed.NewLists([16]byte{})
	for _, e := range []registry.Entry{
		{List: registry.ListExemptions, Key: "www.example.com", Value: "until 2030-01-01 authority"},
		{List: registry.ListExemptions, Key: "*.example.com"},
	} {
		if err := l.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	const want = "*.example.com\nwww.example.com until 2030-01-01 authority\n"
	if got := string(l.File(registry.ListExemptions)); got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestReadListsErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "begins",
		"icp lists 2\n":             "begins",
		"icp lists 1\ntlds\ttest":   "ends early",
		"icp lists 1\ntlds\ttest\n": "2 fields",
		"icp lists 1\ntlds\ttest\t\ntlds\ttest\t\n":  "after",
		"icp lists 1\ntlds\tz\t\nnetworks\ta\tb\n":   "after",
		"icp lists 1\ntlds\t\t\n":                    "without a key",
		"icp lists 1\ntlds\ta\t" + long(5000) + "\n": "buffer full",
	} {
		if _, _, err := feed.ReadLists(strings.NewReader(text), [16]byte{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v; want an error with %q", text, err, want)
		}
	}
	l, skipped, err := feed.ReadLists(strings.NewReader("icp lists 1\nnewer\ta\tb\ntlds\ttest\t\n"), [16]byte{})
	if err != nil || skipped != 1 || l.Len() != 1 {
		t.Errorf("with a list that is not known: %d entries, %d skipped, %v; want 1, 1", l.Len(), skipped, err)
	}
}

func long(n int) string { return strings.Repeat("x", n) }

func FuzzLists(f *testing.F) {
	f.Add([]byte("icp lists 1\ntlds\ttest\t\n"))
	f.Add([]byte("icp lists 1\nexemptions\t*.example.com\tauthority\nnetworks\t192.0.2.0/24\taliyun ecs cn-beijing\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, skipped, err := feed.ReadLists(bytes.NewReader(b), [16]byte{})
		if err != nil || skipped > 0 {
			return
		}
		if again := l.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%q is written as %q", b, again)
		}
	})
}
