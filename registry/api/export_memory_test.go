package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/store"
	"github.com/icpgate/icpgate/registry/store/storetest"
)

// watching takes an answer and looks now and then at what is in use meanwhile.
type watching struct {
	header  http.Header
	status  int
	n       int64
	highest int64
}

func live() int64 {
	runtime.GC()
	runtime.GC() // what lies in a pool goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func (w *watching) Header() http.Header    { return w.header }
func (w *watching) WriteHeader(status int) { w.status = status }
func (w *watching) Write(b []byte) (int, error) {
	if after := w.n + int64(len(b)); after>>18 != w.n>>18 {
		w.highest = max(w.highest, live())
	}
	w.n += int64(len(b))
	return len(b), nil
}

// TestExportMemory: what an export holds at a time does not grow with the registry.
func TestExportMemory(t *testing.T) {
	for name, dsn := range map[string]func() string{
		"sqlite":   func() string { return filepath.Join(t.TempDir(), "registry.db") },
		"postgres": func() string { return storetest.Database(t, "") },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := store.Open(t.Context(), dsn(), store.Options{Key: store.NewKey()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			_, secret, err := s.NewToken(t.Context(), by, store.Token{Owner: "ann", Scopes: []string{store.ScopeRead}})
			if err != nil {
				t.Fatal(err)
			}
			service := api.New(api.Config{Tokens: api.Tokens{Store: s}, Store: s, Dir: t.TempDir(), Failed: func(err error) { t.Error(err) }})
			t.Cleanup(service.Close)
			held := func(format string, least int64) int64 {
				t.Helper()
				before := live()
				r := httptest.NewRequest(http.MethodGet, api.ExportPath+"?format="+format, nil)
				r.Header.Set("Authorization", "Bearer "+secret)
				w := &watching{header: http.Header{}}
				service.Handler().ServeHTTP(w, r)
				if w.status != http.StatusOK || w.n < least || w.highest == 0 {
					t.Fatalf("%s: status %d, %d bytes, looked at %d; want %d bytes at least", format, w.status, w.n, w.highest, least)
				}
				return w.highest - before
			}
			// Filings are read 2,000 at a time.
			few := map[string]int64{}
			for _, filings := range []int{4000, 24_000} {
				i, err := s.Stage(t.Context(), by, store.ImportOptions{}, func(adder func() func(registry.Filing) error) error {
					add := adder()
					for n := range filings {
						f := registry.Filing{
							Site:          registry.Site{Name: "A site with a name of some length", Domains: []registry.Domain{registry.MustParseDomain(fmt.Sprintf("n%d.test", n))}},
							Entity:        registry.Entity{Name: "An entity with a name of some length"},
							AccessesKnown: true, Accesses: []registry.Access{{Provider: "aliyun"}, {Provider: "tencent"}},
						}
						if err := add(f); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Publish(t.Context(), i.ID, nil); err != nil {
					t.Fatal(err)
				}
				for _, format := range []string{"csv", "jsonl"} {
					got := held(format, int64(filings)*150)
					t.Logf("%s of %d filings holds %d bytes at most", format, filings, got)
					if few[format] == 0 {
						few[format] = got
					} else if got > few[format]+2<<20 {
						t.Errorf("%s: %d filings hold %d bytes, and 4,000 %d; want no more", format, filings, got, few[format])
					}
				}
			}
		})
	}
}
