package bulk_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
)

// live is how many bytes are in use.
func live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestWriterMemory: what a writer holds does not grow with what it has written. A
// workbook holds some of a sheet, and puts the rest into a file.
func TestWriterMemory(t *testing.T) {
	const sheet = 40 << 20 // a piece of 16 MB, in a buffer that doubles
	for format, most := range map[string]int64{"csv": 1 << 20, "jsonl": 1 << 20, "xlsx": sheet} {
		t.Run(format, func(t *testing.T) {
			f := registry.Filing{
				Site: registry.Site{Name: "A site with a name of some length"}, Entity: registry.Entity{Name: "An entity with a name of some length"},
				AccessesKnown: true,
			}
			for i := range 20 {
				f.Accesses = append(f.Accesses, registry.Access{Provider: registry.ProviderID(fmt.Sprintf("cloud-%d", i))})
			}
			var out counter
			w, err := bulk.NewWriter(format, &out)
			if err != nil {
				t.Fatal(err)
			}
			before, highest := live(), int64(0)
			const filings = 8000 // 160,000 rows, some 100 MB of a sheet
			for i := range filings {
				f.Site.Domains = []registry.Domain{registry.MustParseDomain(fmt.Sprintf("n%d.test", i))}
				if err := w.Write(&f); err != nil {
					t.Fatal(err)
				}
				if i%(filings/20) == 0 {
					highest = max(highest, live()-before)
				}
			}
			out.look = func() { highest = max(highest, live()-before) }
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if out.n < 1<<20 {
				t.Fatalf("%d bytes were written", out.n)
			}
			t.Logf("%d bytes written, %d held at most", out.n, highest)
			if highest > most {
				t.Errorf("holds %d bytes; want %d at most", highest, most)
			}
		})
	}
}

// counter counts what is written, and looks around now and then.
type counter struct {
	n    int64
	look func()
}

func (c *counter) Write(b []byte) (int, error) {
	if c.look != nil && c.n>>18 != (c.n+int64(len(b)))>>18 {
		c.look()
	}
	c.n += int64(len(b))
	return len(b), nil
}
