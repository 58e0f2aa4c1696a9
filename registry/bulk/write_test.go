package bulk_test

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
)

// written are filings with everything that a form has to carry.
func written() []registry.Filing {
	day := time.Date(2018, 5, 6, 0, 0, 0, 0, time.FixedZone("CST", 8*3600)).UTC()
	site := func(number string, names ...string) registry.Site {
		s := registry.Site{Name: "示例，\"站\"\n一", FiledAt: day}
		if number != "" {
			s.Number = registry.MustParseNumber(number)
		}
		for _, n := range names {
			s.Domains = append(s.Domains, registry.MustParseDomain(n))
		}
		return s
	}
	return []registry.Filing{
		{Site: site("京ICP备10000001号-1", "a.test", "b.test"), Entity: registry.Entity{Number: registry.MustParseNumber("京ICP备10000001号"), Name: "Example", Nature: registry.Enterprise},
			AccessesKnown: true, UpdatedAt: day.Add(90 * time.Minute),
			Accesses: []registry.Access{{Provider: "aliyun"}, {Provider: "tencent", Status: registry.AccessReviewed, At: day.Unix() + 5}}},
		{Site: site("", "c.test"), Status: registry.StatusCancelled, Restricted: true, AccessesKnown: true},
		{Site: site("", "d.gov.cn"), Covers: []string{"img", "x.d.gov.cn"}},
		{Site: registry.Site{Kind: registry.KindIP}, Addr: netip.MustParseAddr("192.0.2.1")},
	}
}

// TestWriteRead: what is written reads back as it was.
func TestWriteRead(t *testing.T) {
	for _, format := range []string{"csv", "jsonl"} {
		var b bytes.Buffer
		w, err := bulk.NewWriter(format, &b)
		if err != nil {
			t.Fatal(err)
		}
		want := written()
		for i := range want {
			if err := w.Write(&want[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "out."+format)
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		var got []registry.Filing
		report, err := bulk.Import(context.Background(), []string{path}, bulk.Options{}, func(f registry.Filing) error { got = append(got, f); return nil })
		if err != nil || len(report.RefusedRows) > 0 {
			t.Fatalf("%s: %v, refused %v of\n%s", format, err, report.RefusedRows, b.String())
		}
		for i := range want {
			found := false
			for j := range got {
				found = found || sameFiling(&got[j], &want[i])
			}
			if !found {
				t.Errorf("%s: nothing that was read is %+v; got %+v", format, want[i], got)
			}
		}
	}
}

// sameFiling compares what a form carries; line breaks in names are not kept.
func sameFiling(a, b *registry.Filing) bool {
	x, y := *a, *b
	for _, f := range []*registry.Filing{&x, &y} {
		f.Site.Name = strings.Join(strings.Fields(f.Site.Name), " ")
		f.Site.FiledAt, f.UpdatedAt = f.Site.FiledAt.UTC(), f.UpdatedAt.UTC()
		f.Site.Domains, f.Accesses, f.Covers = append([]registry.Domain{}, f.Site.Domains...), append([]registry.Access{}, f.Accesses...), append([]string{}, f.Covers...)
	}
	return reflect.DeepEqual(x, y)
}

// TestFormulas: no cell of a table begins as a formula does.
func TestFormulas(t *testing.T) {
	f := registry.Filing{
		Site:   registry.Site{Name: "=HYPERLINK(\"http://evil.test\")", Domains: []registry.Domain{registry.MustParseDomain("a.test")}},
		Entity: registry.Entity{Name: "@SUM(A1)"},
	}
	for _, format := range []string{"csv", "xlsx"} {
		var b bytes.Buffer
		w, err := bulk.NewWriter(format, &b)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"=1+1", "+1", "-1", "@x", "\tx", "\rx"} {
			f.Entity.Name = name
			if err := w.Write(&f); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if format == "csv" {
			for _, bad := range []string{",=", ",+", ",@", "\"=", "\"@", ",\t", "\"\r"} {
				if strings.Contains(b.String(), bad) {
					t.Errorf("csv has %q:\n%s", bad, b.String())
				}
			}
			continue
		}
		book, err := excelize.OpenReader(&b)
		if err != nil {
			t.Fatal(err)
		}
		defer book.Close()
		rows, err := book.GetRows("filings 1")
		if err != nil || len(rows) != 7 {
			t.Fatalf("%d rows, %v; want 7", len(rows), err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if cell != "" && strings.ContainsAny(cell[:1], "=+-@") {
					t.Errorf("xlsx has the cell %q", cell)
				}
			}
		}
	}
	if _, err := bulk.NewWriter("ods", nil); err == nil {
		t.Error("a writer of an unknown form")
	}
}
