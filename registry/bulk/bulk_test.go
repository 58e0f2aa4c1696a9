package bulk_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
)

// files writes each text into a file of its own and returns their names.
func files(t testing.TB, texts ...string) []string {
	t.Helper()
	var names []string
	for i, text := range texts {
		name := filepath.Join(t.TempDir(), "in"+string(rune('a'+i)))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// load imports texts and returns what was handed on.
func load(t testing.TB, opts bulk.Options, texts ...string) ([]registry.Filing, bulk.Report, error) {
	t.Helper()
	var got []registry.Filing
	report, err := bulk.Import(context.Background(), files(t, texts...), opts, func(f registry.Filing) error {
		got = append(got, f)
		return f.Check()
	})
	if err == nil && (report.Rows != report.Refused+report.Merged+report.Filings || report.Filings != len(got)) {
		t.Errorf("the sums of the report are wrong: %s; %d filings came", report.String(), len(got))
	}
	return got, report, err
}

// one imports texts that make exactly one filing of every row.
func one(t *testing.T, texts ...string) (registry.Filing, bulk.Report) {
	t.Helper()
	got, report, err := load(t, bulk.Options{}, texts...)
	if err != nil || len(got) != 1 || report.Refused != 0 {
		t.Fatalf("got %d filings, %v, error %v; want one filing", len(got), report.RefusedRows, err)
	}
	return got[0], report
}

// show writes the facts of a filing that are set, for comparison.
func show(f registry.Filing) string {
	var b []string
	put := func(name, s string) {
		if s != "" {
			b = append(b, name+"="+s)
		}
	}
	day := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return strings.TrimSuffix(t.Format("2006-01-02T15:04:05"), "T00:00:00")
	}
	var domains []string
	for _, d := range f.Site.Domains {
		domains = append(domains, d.String())
	}
	put("domains", strings.Join(domains, " "))
	if f.Addr.IsValid() {
		put("addr", f.Addr.String())
	}
	put("number", f.Site.Number.String())
	put("entity", f.Entity.Number.String())
	put("name", f.Entity.Name)
	if f.Entity.Nature != 0 {
		put("nature", f.Entity.Nature.String())
	}
	put("site", f.Site.Name)
	if f.Site.Kind != 0 {
		put("kind", f.Site.Kind.String())
	}
	if f.Status != 0 {
		put("status", f.Status.String())
	}
	if f.Restricted {
		put("restricted", "true")
	}
	put("filed", day(f.Site.FiledAt))
	put("updated", day(f.UpdatedAt))
	if f.AccessesKnown {
		var list []string
		for _, a := range f.Accesses {
			s := string(a.Provider) + ":" + a.Status.String()
			if a.At != 0 {
				s += ":" + day(time.Unix(a.At, 0).In(time.FixedZone("", 8*3600)))
			}
			list = append(list, s)
		}
		put("accesses", "["+strings.Join(list, " ")+"]")
	}
	put("covers", strings.Join(f.Covers, " "))
	if f.FiledAddr.IsValid() {
		put("filed-addr", f.FiledAddr.String())
	}
	return strings.Join(b, "; ")
}

func kinds(ws []bulk.Warning) string {
	var list []string
	for _, w := range ws {
		list = append(list, w.Kind.String())
	}
	return strings.Join(list, " ")
}

func TestUnknownColumnIsNamedOnce(t *testing.T) {
	_, report := one(t, "domain,colour,colour\na.com,red,red\n")
	if len(report.WarningList) != 1 || !strings.Contains(report.WarningList[0].String(), `"colour"`) {
		t.Errorf("got %v; want one warning of colour", report.WarningList)
	}
}

func TestBrokenQuotes(t *testing.T) {
	text := "domain,site_name\n" + // 1
		"a.com,ok\n" + // 2
		"b.com,a \"b\" c\n" + // 3: a bare quote
		"c.com,\"x\"y\n" + // 4: text behind a quote
		"d.com,\"two\nlines\"\n" + // 5, 6
		"e.com,\"never closed\n" + // 7
		"f.com,ok\n" + // 8
		"g.com," + strings.Repeat("z", 2<<20) + "\n" + // 9: too long
		"h.com,ok" // 10
	got, report, err := load(t, bulk.Options{}, text)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range got {
		names = append(names, f.Site.Domains[0].String())
	}
	if s := strings.Join(names, " "); s != "a.com d.com f.com h.com" {
		t.Errorf("got %s; want a.com d.com f.com h.com", s)
	}
	var lines []int
	for _, p := range report.RefusedRows {
		lines = append(lines, p.Line)
	}
	if len(lines) != 4 || lines[0] != 3 || lines[1] != 4 || lines[2] != 7 || lines[3] != 9 {
		t.Errorf("got lines %v refused; want 3, 4, 7, 9", lines)
	}
}

func TestStrict(t *testing.T) {
	called := false
	_, err := bulk.Import(context.Background(), files(t, "domain\na.com\ncom.cn\nb_.com\n"), bulk.Options{Strict: true}, func(registry.Filing) error {
		called = true
		return nil
	})
	var row *bulk.RowError
	if !errors.As(err, &row) || row.Line != 3 || row.Column != "domain" || row.Value != "com.cn" {
		t.Errorf("got error %v; want one of line 3, domain com.cn", err)
	}
	if called {
		t.Error("a filing was handed on; want none")
	}
}

func TestRefusedRowsFile(t *testing.T) {
	var b bytes.Buffer
	in := files(t, "domain,site_name\n=cmd!A0,y\na.com,ok\ncom.cn,x\n")
	report, err := bulk.Import(context.Background(), in, bulk.Options{Refused: &b, Keep: 1}, func(registry.Filing) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	want := "file,line,column,value,reason,hint\n" +
		in[0] + `,2,domain,"""=cmd!A0""","label ""=cmd!A0"" holds ""=""",` + "\"a host name has letters, digits, hyphen and underscore\"\n" +
		in[0] + `,4,domain,"""com.cn""",is a public suffix,a filing names a domain below it` + "\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if report.Refused != 2 || len(report.RefusedRows) != 1 {
		t.Errorf("got %d refused, %d listed; want 2, 1", report.Refused, len(report.RefusedRows))
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestRefusedRowsCannotBeWritten(t *testing.T) {
	_, _, err := load(t, bulk.Options{Refused: failingWriter{}}, "domain\ncom.cn\na.com\n")
	if err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got error %v; want disk full", err)
	}
}

func TestAddFails(t *testing.T) {
	in := files(t, "domain\na.com\n")
	_, err := bulk.Import(context.Background(), in, bulk.Options{}, func(registry.Filing) error { return errors.New("no room") })
	if want := in[0] + ":2: the filing could not be taken: no room"; err == nil || err.Error() != want {
		t.Errorf("got error %v; want %s", err, want)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		if _, err := bulk.Import(context.Background(), []string{name}, bulk.Options{}, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got error %v; want one naming %s", err, name)
		}
	}
	if _, err := bulk.Import(context.Background(), nil, bulk.Options{}, nil); err == nil {
		t.Error("got no error for no file")
	}
}

func TestStdin(t *testing.T) {
	n := 0
	opts := bulk.Options{Stdin: strings.NewReader("domain\na.com\n")}
	report, err := bulk.Import(context.Background(), []string{"-"}, opts, func(registry.Filing) error { n++; return nil })
	if err != nil || n != 1 || report.Files[0].Name != "-" {
		t.Errorf("got %d filings, %v, error %v; want one", n, report.Files, err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := bulk.Import(ctx, files(t, "domain\na.com\n"), bulk.Options{}, func(registry.Filing) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v; want canceled", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	opts := bulk.Options{ProgressEvery: 1, Progress: func(bulk.Progress) { cancel() }}
	text := "domain\n" + strings.Repeat("a.com\n", 5000)
	if _, err = bulk.Import(ctx, files(t, text), opts, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v; want canceled", err)
	}
}

func TestProgress(t *testing.T) {
	text := "domain\na.com\nb.com\nc.com\n"
	var seen []bulk.Progress
	in := files(t, text)
	opts := bulk.Options{ProgressEvery: 2, Progress: func(p bulk.Progress) { seen = append(seen, p) }}
	if _, err := bulk.Import(context.Background(), in, opts, func(registry.Filing) error { return nil }); err != nil {
		t.Fatal(err)
	}
	size := int64(len(text))
	want := []bulk.Progress{{in[0], 2, size, size, 0, 0}, {"", 3, size, size, 2, 3}}
	if len(seen) != 2 || seen[0] != want[0] || seen[1] != want[1] {
		t.Errorf("got %+v; want %+v", seen, want)
	}
}

func TestFutureDay(t *testing.T) {
	now := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	_, report, err := load(t, bulk.Options{Now: now}, "domain,updated_at\na.com,2124-01-01\nb.com,2024-01-01\n")
	if err != nil || kinds(report.WarningList) != "date" {
		t.Errorf("got %v, error %v; want one warning of the day", report.WarningList, err)
	}
}
