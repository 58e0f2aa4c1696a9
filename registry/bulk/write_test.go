package bulk_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
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

// TestFormulas: no cell of a table begins as a formula does, and import gives back what
// was written.
func TestFormulas(t *testing.T) {
	names := []string{
		"=HYPERLINK(\"http://evil.test\")", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx",
		"＝1+1", "＋1", "－1", "＠SUM(A1)", " =1", "\u3000＝1", "\ufeff=1", "'=1", "'＝1", "''-1",
	}
	for _, format := range []string{"csv", "xlsx"} {
		var b bytes.Buffer
		w, err := bulk.NewWriter(format, &b)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			f := registry.Filing{Site: registry.Site{Name: name, Domains: []registry.Domain{registry.MustParseDomain(fmt.Sprintf("n%d.test", i))}}, Entity: registry.Entity{Name: name}}
			if err := w.Write(&f); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var rows [][]string
		if format == "csv" {
			if rows, err = csv.NewReader(bytes.NewReader(b.Bytes())).ReadAll(); err != nil {
				t.Fatal(err)
			}
		} else {
			book, err := excelize.OpenReader(bytes.NewReader(b.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			defer book.Close()
			if rows, err = book.GetRows("filings 1"); err != nil {
				t.Fatal(err)
			}
		}
		if len(rows) != len(names)+1 {
			t.Fatalf("%s: %d rows; want %d", format, len(rows), len(names)+1)
		}
		for _, row := range rows[1:] {
			for _, cell := range []string{row[3], row[5]} {
				if cell == "" || cell[0] != '\'' {
					t.Errorf("%s has the cell %q; want an apostrophe before it", format, cell)
				}
			}
		}
		if format == "xlsx" {
			continue // is no form that import reads
		}
		got := map[string]string{}
		opts := bulk.Options{Stdin: bytes.NewReader(b.Bytes())}
		if _, err := bulk.Import(context.Background(), []string{"-"}, opts, func(f registry.Filing) error {
			got[f.Site.Domains[0].String()] = f.Site.Name
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			if g, want := strings.Trim(got[fmt.Sprintf("n%d.test", i)], " \u3000"), strings.Trim(name, " \t\r\n\u3000\ufeff"); g != want {
				t.Errorf("%q was read as %q", name, g)
			}
		}
	}
	if _, err := bulk.NewWriter("ods", nil); err == nil {
		t.Error("a writer of an unknown form")
	}
}

// TestFormulasRefused: the table of refused rows has none either, in the names of
// files.
func TestFormulasRefused(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	const name = "＝1.csv"
	if err := os.WriteFile(name, []byte("domain,status\n=bad=,normal\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var refused bytes.Buffer
	if _, err := bulk.Import(context.Background(), []string{name}, bulk.Options{Refused: &refused}, func(registry.Filing) error { return nil }); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&refused).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][0] != "'"+name {
		t.Errorf("got %q, %v; want one row with an apostrophe before the file's name", rows, err)
	}
}
