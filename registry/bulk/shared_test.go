package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
)

// dirtyTable has conflicts, warnings and refused rows all over its chunks.
func dirtyTable(rows int) string {
	var b strings.Builder
	b.WriteString("domain,number,site_name,status,filed_at,updated_at,provider,access_status\n")
	for i := range rows {
		id := i * 7 % (rows / 2)
		name, domain := fmt.Sprintf("site %d", i%3), fmt.Sprintf("f%d.com", id)
		switch i % 50 {
		case 1:
			domain = "com.cn"
		case 2:
			domain = fmt.Sprintf("www.f%d.com", id)
		case 3:
			domain = fmt.Sprintf("f%d.com g%d.com", id, id)
		case 4:
			name = "\"two\nlines\""
		case 5:
			name = `a "bare" quote`
		case 6:
			name = `"open`
		}
		fmt.Fprintf(&b, "%s,京ICP备%08d号-1,%s,normal,2015-01-01,2023-01-0%d,cloud-%d,active\n", domain, id, name, 1+i%2, i%4)
	}
	return b.String()
}

// TestImportShared: several goroutines hand on the same filings, and the report
// is the same to the last warning.
func TestImportShared(t *testing.T) {
	for _, table := range []string{"domain\n", bigTable(50_000), dirtyTable(60_000)} {
		for _, keep := range []int{0, 7, 1 << 20} {
			name := files(t, table, table)
			var order, shared []string
			var steps, sharedSteps []bulk.Progress
			opts := bulk.Options{Keep: keep, Progress: func(p bulk.Progress) { steps = append(steps, p) }}
			want, err := bulk.Import(context.Background(), name, opts, func(f registry.Filing) error {
				order = append(order, show(f))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			opts.Progress = func(p bulk.Progress) { sharedSteps = append(sharedSteps, p) }
			got, err := bulk.ImportShared(context.Background(), name, opts, func() func(registry.Filing) error {
				return func(f registry.Filing) error {
					mu.Lock()
					defer mu.Unlock()
					shared = append(shared, show(f))
					return nil
				}
			})
			slices.Sort(order)
			slices.Sort(shared)
			if err != nil || !slices.Equal(order, shared) {
				t.Fatalf("got %d filings, error %v; want the same %d", len(shared), err, len(order))
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got the report %s; want %s, and the same lists", got.String(), want.String())
			}
			if !reflect.DeepEqual(steps, sharedSteps) {
				t.Fatalf("got %d steps of progress; want the same %d", len(sharedSteps), len(steps))
			}
		}
	}
}

// TestImportSharedEnds: the first error of an add ends the import, and so does
// the context.
func TestImportSharedEnds(t *testing.T) {
	name := files(t, bigTable(60_000))
	errFull := errors.New("full")
	_, err := bulk.ImportShared(context.Background(), name, bulk.Options{}, func() func(registry.Filing) error {
		return func(f registry.Filing) error {
			if f.Site.Domains[0].String() >= "f50000" {
				return errFull
			}
			return nil
		}
	})
	if !errors.Is(err, errFull) {
		t.Errorf("got error %v; want that of add", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	report, err := bulk.ImportShared(ctx, name, bulk.Options{}, func() func(registry.Filing) error {
		return func(registry.Filing) error {
			cancel()
			return nil
		}
	})
	if !errors.Is(err, context.Canceled) || report.Rows != 60_000 || report.Filings > 1000 {
		t.Errorf("got %s, error %v; want few filings and %v", report.String(), err, context.Canceled)
	}
}

// BenchmarkImportShared hands the filings of a table on to nobody. B/op are
// those of all rows.
func BenchmarkImportShared(b *testing.B) {
	const rows = 200_000
	name := files(b, bigTable(rows))
	nobody := func() func(registry.Filing) error { return func(registry.Filing) error { return nil } }
	b.ReportAllocs()
	for b.Loop() {
		if report, err := bulk.ImportShared(context.Background(), name, bulk.Options{}, nobody); err != nil || report.Rows != rows {
			b.Fatal(report.String(), err)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
