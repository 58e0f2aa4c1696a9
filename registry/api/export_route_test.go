package api_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/store"
)

// drawFiling makes one of many filings that a registry can hold; n tells it from
// others.
func drawFiling(r *rapid.T, n int) registry.Filing {
	day := func(what string) time.Time {
		if rapid.Bool().Draw(r, what+" unknown") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(1_400_000_000, 1_500_000_000).Draw(r, what), 0).UTC()
	}
	name := func(what string) string {
		return rapid.SampledFrom([]string{"", "示例", "=1+1", "'=1+1", "''-x", "+86", "@a", "'quoted'", "a,b \"c\"", "a;b"}).Draw(r, what)
	}
	f := registry.Filing{
		Site: registry.Site{Name: name("site"), FiledAt: day("filed")}, UpdatedAt: day("updated"), Restricted: rapid.Bool().Draw(r, "restricted"),
		Entity:        registry.Entity{Name: name("entity"), Nature: rapid.SampledFrom([]registry.Nature{registry.Enterprise, registry.Individual, registry.NatureUnknown, registry.Government}).Draw(r, "nature")},
		Status:        rapid.SampledFrom([]registry.Status{registry.StatusNormal, registry.StatusCancelled, registry.StatusChangePending}).Draw(r, "status"),
		AccessesKnown: rapid.Bool().Draw(r, "accesses known"),
	}
	if f.AccessesKnown {
		for i := range rapid.IntRange(0, 3).Draw(r, "accesses") {
			a := registry.Access{Provider: registry.ProviderID(fmt.Sprint("cloud-", i)), Status: registry.AccessStatus(rapid.IntRange(0, 3).Draw(r, "access"))}
			if at := day("accessed"); !at.IsZero() {
				a.At = at.Unix()
			}
			f.Accesses = append(f.Accesses, a)
		}
	}
	numbered := rapid.Bool().Draw(r, "numbered")
	switch rapid.IntRange(0, 4).Draw(r, "kind") {
	case 0:
		f.Site.Kind, f.Addr = registry.KindIP, netip.AddrFrom4([4]byte{203, 0, 113, byte(n)})
		return f
	case 1:
		f.Site.Domains = []registry.Domain{registry.MustParseDomain(fmt.Sprintf("n%d.gov.cn", n))}
		f.Covers = []string{"img"}
	case 2: // from before 2019
		f.Site.FiledAt = time.Unix(1_450_000_000, 0).UTC()
		f.Site.Domains = []registry.Domain{registry.MustParseDomain(fmt.Sprintf("z%d.test", n)), registry.MustParseDomain(fmt.Sprintf("a%d.test", n))}
	default:
		f.Site.Domains = []registry.Domain{registry.MustParseDomain(fmt.Sprintf("n%d.test", n))}
		if rapid.Bool().Draw(r, "server") {
			f.FiledAddr = netip.MustParseAddr("203.0.113.200")
		}
	}
	if numbered {
		f.Site.Number = registry.MustParseNumber(fmt.Sprintf("京ICP备%08d号-1", n))
		f.Entity.Number = registry.MustParseNumber(fmt.Sprintf("京ICP备%08d号", n))
	}
	return f
}

// TestExport: what is exported and imported again changes nothing, names of
// individuals leave by those alone who may see them, and the order stays.
func TestExport(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		n, id := 0, 0
		rapid.Check(t, func(r *rapid.T) {
			_, err := w.store.Edit(t.Context(), by, func(e *store.Edit) error {
				for range 10 {
					n++
					if n > 250 {
						return nil
					}
					if err := e.PutFiling(drawFiling(r, n)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				r.Fatal(err)
			}
			if n > 260 {
				return
			}
			for _, query := range []string{"", "?format=jsonl", "?format=csv&personal=true", "?format=jsonl&personal=true"} {
				_, _, text := w.ask(t, "GET", api.ExportPath+query, w.bearer("all"), "")
				if _, _, again := w.ask(t, "GET", api.ExportPath+query, w.bearer("all"), ""); again != text {
					r.Fatalf("%s: the second time it is another one", query)
				}
				for _, how := range []string{"complete=true", "complete=false"} {
					id++
					i := w.staged(t, fmt.Sprintf("%016x", id), "dry_run=true&"+how, "x", text)
					if c := i.Counts; c.Added+c.Changed+c.Cancelled+c.Refused != 0 || c.Unchanged != min(n, 250)+1 || i.Report.Refused+i.Report.Conflicts != 0 {
						r.Fatalf("%s %s: %+v %+v of\n%s", query, how, c, i.Report, text)
					}
				}
			}
		})
	})
}

// TestExportForms: a workbook has the cells of the table, and who may not see names
// of individuals does not.
func TestExportForms(t *testing.T) { onEach(t, exportForms) }

func exportForms(t *testing.T, w *world) {
	w.call(t, "write", "PATCH", api.FilingsPath, api.SetFiling{Why: "x", Set: api.Row{
		Domains: p([]string{"b.test"}), EntityName: p("张三"), EntityNature: p("individual"), SiteName: p("=cmd()"),
	}}, nil, 200)
	status, kind, text := w.ask(t, "GET", api.ExportPath, w.bearer("read"), "")
	if status != 200 || kind != "text/csv; charset=utf-8" || strings.Contains(text, "张三") || !strings.Contains(text, ",'=cmd(),") {
		t.Errorf("csv: %d %s %s", status, kind, text)
	}
	table, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	_, kind, text = w.ask(t, "GET", api.ExportPath+"?format=xlsx", w.bearer("read"), "")
	book, err := excelize.OpenReader(bytes.NewReader([]byte(text)))
	if err != nil {
		t.Fatal(kind, err)
	}
	defer book.Close()
	rows, err := book.GetRows("filings 1")
	if err != nil || len(rows) != len(table) {
		t.Fatalf("%d rows, %v; want %d", len(rows), err, len(table))
	}
	for i := range rows {
		for len(rows[i]) < len(table[i]) {
			rows[i] = append(rows[i], "")
		}
		if !reflect.DeepEqual(rows[i], table[i]) {
			t.Errorf("row %d is %q; want %q", i, rows[i], table[i])
		}
	}
	if _, _, text := w.ask(t, "GET", api.ExportPath+"?personal=true", w.bearer("all"), ""); !strings.Contains(text, "张三") {
		t.Errorf("with personal data: %s", text)
	}
	for query, want := range map[string]int{"?personal=true": 403, "?format=ods": 422, "?personal=perhaps": 422, "?format=csv&format=csv": 422, "?of=a.test": 422} {
		w.call(t, "read", "GET", api.ExportPath+query, nil, nil, want)
	}
	release, err := w.Take("export")
	if err != nil {
		t.Fatal(err)
	}
	w.call(t, "read", "GET", api.ExportPath, nil, nil, 429)
	release()
	w.call(t, "read", "GET", api.ExportPath, nil, nil, 200)
}
