package store_test

import (
	"bytes"
	"database/sql"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// TestPackedOrder: packed rows come in their order because the query says so, and not
// because SQLite happens to read them so. The pragma turns round whatever has no order.
func TestPackedOrder(t *testing.T) {
	dsn := sqliteDSN(t)
	w := &world{T: t, dsn: dsn, now: day(2026, 3, 1), key: store.NewKey()}
	w.open()
	for number, name := range map[string]string{"京ICP备00000001号-1": "a", "京ICP备00000002号-1": "b"} {
		f := filing(number, name+"1.test", registry.Access{Provider: "one"}, registry.Access{Provider: "two"}, registry.Access{Provider: "three"})
		f.Site.Domains = append(f.Site.Domains, registry.MustParseDomain(name+"2.test"), registry.MustParseDomain(name+"3.test"))
		f.Site.FiledAt = day(2015, 3, 1) // sites had several names then
		w.put(f)
	}
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	read := func(pragma string) (all [][]byte) {
		db, err := sql.Open("sqlite", "file:"+dsn+"?_pragma=reverse_unordered_selects("+pragma+")")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, q := range store.PackedQueries() {
			var b []byte
			if err := db.QueryRow(q, 0, 1<<40, 1000).Scan(&b); err != nil {
				t.Fatal(err)
			}
			all = append(all, b)
		}
		return all
	}
	want, got := read("0"), read("1")
	for i, q := range store.PackedQueries() {
		if !bytes.Equal(got[i], want[i]) || len(want[i]) == 0 {
			t.Errorf("%s: %q; want %q", q, got[i], want[i])
		}
	}
}
