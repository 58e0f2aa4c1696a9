package index_test

import (
	"testing"
	"time"

	filings "github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// TestPack: names, numbers and times of every form come back from a record.
func TestPack(t *testing.T) {
	long := "a23456789012345678901234567890123456789012345678901234567890123"
	for _, name := range []string{
		"a.com", "a.cn", "a.com.cn", "a.net", "a.gov.cn", "a.org", "a.top", "a.example", "com.com", "www.a.com", "xcom.cn",
		long[:30] + ".com", long[:31] + ".com", long[:32] + ".com", long + "." + long + ".example",
	} {
		d := registry.MustParseDomain(name)
		if got := recordOf(t, filingOf(name), d); got.Domain != d {
			t.Errorf("got name %q; want %q", got.Domain, d)
		}
	}
	for _, number := range []string{
		"", "京ICP备00000001号", "京ICP备00000001号-1", "新ICP备2023000001号-99999A", "沪ICP备12345678号-2X", "粤ICP备05001号-3K",
		"京ICP证030173号", "京ICP证030173号-12", "粤B2-20090059", "粤B2-20090059-1626X", "A2.B1.B2-20090001", "B2-20090001-7",
	} {
		f := filingOf("a.example")
		if err := f.Site.Number.UnmarshalText([]byte(number)); err != nil {
			t.Fatal(err)
		}
		f.Entity.Number = registry.MustParseNumber("津ICP备00000002号")
		got := recordOf(t, f, f.Site.Domains[0])
		if got.Number != f.Site.Number || got.EntityNumber != f.Entity.Number {
			t.Errorf("got numbers %q and %q; want %q and %q", got.Number, got.EntityNumber, f.Site.Number, f.Entity.Number)
		}
	}
	china := time.FixedZone("CST", 8*3600)
	times := []time.Time{
		{}, time.Unix(0, 0), time.Unix(-1, 0), time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1999, 12, 31, 0, 0, 0, 0, china),
		time.Date(2024, 2, 29, 0, 0, 0, 0, china), time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC), time.Date(9999, 12, 30, 23, 59, 59, 0, time.UTC),
	}
	for _, filed := range times {
		for _, updated := range times {
			f := filingOf("a.example")
			f.Site.FiledAt, f.UpdatedAt, f.Accesses[0].At = filed, updated, updated.Unix()
			got := recordOf(t, f, f.Site.Domains[0])
			if !got.FiledAt.Equal(filed) || !got.UpdatedAt.Equal(updated) || got.Accesses[0].At != f.Accesses[0].At {
				t.Errorf("got %s, %s and %d; want %s, %s and %d", got.FiledAt, got.UpdatedAt, got.Accesses[0].At, filed, updated, f.Accesses[0].At)
			}
		}
	}
}

func recordOf(t *testing.T, f registry.Filing, d registry.Domain) index.Record {
	t.Helper()
	recs := build(t, testOptions, []registry.Filing{f}).Records(d)
	if len(recs) != 1 {
		t.Fatalf("%q: got %d records; want 1", d, len(recs))
	}
	return recs[0]
}

// TestSize: what a filing may take.
func TestSize(t *testing.T) {
	const n = 50_000
	b := index.NewBuilder(testOptions)
	for i := range n {
		if err := b.Add(filings.Filing(i)); err != nil {
			t.Fatal(err)
		}
	}
	x, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if got := float64(x.DecisionBytes()) / n; got > 16 {
		t.Errorf("decisions touch %.1f bytes a filing; want at most 16", got)
	}
	if got := float64(x.Info().Bytes) / n; got > 80 {
		t.Errorf("the file has %.1f bytes a filing; want at most 80", got)
	}
}
