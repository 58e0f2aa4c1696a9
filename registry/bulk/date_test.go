package bulk_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
)

// TestFarDates: a day that is of the year 10000 somewhere is refused in whichever
// column it stands, and the last one before is taken.
func TestFarDates(t *testing.T) {
	const head = "domain,filed_at,updated_at,provider,accessed_at\n"
	for row, refused := range map[string]string{
		"a.test,9999-12-31,9999-12-31,aliyun,9999-12-31\n": "", // as systems write it for no end
		"a.test,9999-12-31 09:00:00,,,\n":                  "filed_at",
		"a.test,,9999-12-31T23:59:59-12:00,,\n":            "updated_at",
		"a.test,,,aliyun,9999-12-31T12:00:00Z\n":           "accessed_at",
		"a.test,0000-01-01T00:00:00+08:00,,,\n":            "filed_at",
	} {
		n := 0
		report, err := bulk.Import(context.Background(), []string{"-"}, bulk.Options{Stdin: bytes.NewReader([]byte(head + row))}, func(registry.Filing) error { n++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		column := ""
		if len(report.RefusedRows) > 0 {
			column = report.RefusedRows[0].Column
		}
		if column != refused || n != 1-len(report.RefusedRows) {
			t.Errorf("%q: got %d filings, refused %+v; want %q refused", row, n, report.RefusedRows, refused)
		}
	}
}
