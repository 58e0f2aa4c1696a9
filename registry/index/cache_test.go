package index_test

import (
	"fmt"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// oddLabels are what names arrive with in front of, or behind, what is filed.
var oddLabels = []string{
	"测试", "例子", "ＷＷＷ", "。", "a。b", "ß", "ü", "\u200d", "", "-", "_x", "xn--0zwm56d", "XN--0ZWM56D", "ａ", "1", "测试.",
	":", "测试:80", "\xff", "ⅷ", "ﬀ", "\u0301", "א", "1א", "x١", ".",
}

// TestCacheTwin compares a small cache with reading and asking anew: names that
// share entries, malformed ones between them, each asked for twice.
func TestCacheTwin(t *testing.T) {
	for seed := range uint64(6) {
		g := newGenerator(seed, 4)
		fs, blacklist := g.registry(20, 3)
		for _, zone := range []string{"xn--0zwm56d.com", "a0.xn--fsqu00a.cn", "xn--fsqu00a.gov.cn", "xn--fsqu00a.xn--zfr164b"} {
			fs = append(fs, filingOf(zone))
		}
		x := build(t, testOptions, fs, blacklist...)
		c := index.NewCache(64)
		for range 3000 {
			name := g.query(fs).Unicode()
			for range g.IntN(3) {
				name = g.one(oddLabels...) + "." + name
			}
			if g.IntN(10) == 0 {
				name += g.one(":80", ".", "。", ":", "．", "测试")
			}
			askTwice(t, c, x, name)
		}
		if s := c.Stats(); s.Hits == 0 || s.Evictions == 0 {
			t.Errorf("got %+v; want hits and evictions, or little was tried", s)
		}
	}
}

func askTwice(t *testing.T, c *index.Cache, x *index.Index, name string) {
	t.Helper()
	want, wantErr := registry.ParseDomain(name)
	for range 2 {
		d, coverage, err := c.Cover(x, name)
		if d != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("%q: got %q, %v; want %q, %v", name, d, err, want, wantErr)
		}
		if err != nil {
			continue
		}
		if asked := x.Cover(want); !equal(coverage, asked) {
			t.Fatalf("%q: got %+v; want %+v", name, coverage, asked)
		}
	}
}
