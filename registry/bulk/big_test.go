package bulk_test

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
)

func itoa(i int) string { return strconv.Itoa(i) }

// bigTable writes a table of rows, each seventh a further access of the row before.
func bigTable(rows int) string {
	var b strings.Builder
	b.Grow(rows * 200)
	b.WriteString("domain,number,entity_number,entity_name,entity_nature,site_name,kind,status,filed_at,updated_at,provider,access_status,accessed_at\n")
	for i := range rows {
		id := i
		if i%7 == 6 {
			id--
		}
		n := "京ICP备" + strconv.Itoa(10_000_000+id/3)
		b.WriteString("f" + strconv.Itoa(id) + "-name.com.cn," + n + "号-" + strconv.Itoa(id%3+1) + "," + n + "号,某某网络科技有限公司" + strconv.Itoa(id/3) +
			",enterprise,某某网站" + strconv.Itoa(id) + ",site,normal,2021-03-01,2023-10-18T10:27:25+08:00,cloud-" + strconv.Itoa(i%7%3) + ",active,2021-03-01\n")
	}
	return b.String()
}

func TestBigTable(t *testing.T) {
	const rows = 100_000
	got, report, err := load(t, bulk.Options{}, bigTable(rows))
	if err != nil || report.Rows != rows || report.Refused != 0 || report.Merged != rows/7 || report.Conflicts != 0 || report.WarningCount() != 0 {
		t.Fatalf("got %s, error %v", report.String(), err)
	}
	for i, f := range got {
		id := i/6*7 + i%6
		if want := "f" + itoa(id) + "-name.com.cn"; f.Site.Domains[0].String() != want || f.Site.Name != "某某网站"+itoa(id) {
			t.Fatalf("filing %d: got %s; want %s", i, show(f), want)
		}
	}
}

// TestRowsFarApart merges rows between which many others are read.
func TestRowsFarApart(t *testing.T) {
	const rows = 30_000
	a := bigTable(rows)
	b := strings.ReplaceAll(a, ",cloud-", ",other-")
	got, report, err := load(t, bulk.Options{}, a, b, a)
	if err != nil || report.Duplicates != rows || report.Files[2].Rows != rows || len(got) != rows-rows/7 {
		t.Fatalf("got %s, files %v, error %v", report.String(), report.Files, err)
	}
	for i, f := range got {
		id := i/6*7 + i%6
		want := 2
		if i%6 == 5 && id+1 < rows {
			want = 4
		}
		if f.Site.Name != "某某网站"+itoa(id) || len(f.Accesses) != want {
			t.Fatalf("filing %d: got %s; want %d accesses", i, show(f), want)
		}
	}
}

// TestMemory holds the promise of the package's documentation.
func TestMemory(t *testing.T) {
	const rows = 100_000
	name := files(t, bigTable(rows))
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	filings := 0
	_, err := bulk.Import(context.Background(), name, bulk.Options{}, func(registry.Filing) error {
		if filings++; filings == 1 { // all rows are held, nothing is handed on yet
			runtime.GC()
			runtime.ReadMemStats(&after)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	const fixed = 5 << 20 // buffers and what is under way
	perRow := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)-fixed) / rows
	t.Logf("%.0f bytes a row", perRow)
	if perRow > 220 {
		t.Errorf("got %.0f bytes a row; want at most 220", perRow)
	}
}

func BenchmarkImport(b *testing.B) {
	const rows = 200_000
	table := files(b, bigTable(rows))
	var lines strings.Builder
	for i := range rows {
		lines.WriteString(`{"domain":"f` + itoa(i) + `-name.com.cn","number":"京ICP备` + itoa(10_000_000+i) + `号-1","entity":"某公司","status":"normal","updated_at":"2023-10-18","accesses":[{"provider":"cloud-a","status":"active","accessed_at":"2021-03-01"}]}` + "\n")
	}
	var public strings.Builder
	public.WriteString("[")
	for i := range rows {
		if i > 0 {
			public.WriteString(",")
		}
		public.WriteString(strings.ReplaceAll(strings.ReplaceAll(record, "example.com", "f"+itoa(i)+"-name.com"), "20090059-5", itoa(10_000_000+i)+"-5"))
	}
	public.WriteString("]")
	for _, bb := range []struct {
		name  string
		files []string
	}{{"csv", table}, {"jsonl", files(b, lines.String())}, {"public-query", files(b, public.String())}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				report, err := bulk.Import(context.Background(), bb.files, bulk.Options{}, func(registry.Filing) error { return nil })
				if err != nil || report.Refused > 0 {
					b.Fatal(report.String(), err)
				}
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
