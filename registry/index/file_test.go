package index_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// small is a registry with something in every section.
func small(t testing.TB) *index.Index {
	g := newGenerator(7, 4)
	fs, blacklist := g.registry(40, 3)
	return build(t, testOptions, fs, blacklist...)
}

func TestFileRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.icpidx")
	x := small(t)
	for range 2 { // the second time over the first
		if err := index.WriteFile(path, x); err != nil {
			t.Fatal(err)
		}
	}
	y, err := index.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(y.Image(), x.Image()) {
		t.Error("the file has other bytes than the index")
	}
	if got, want := y.Info(), x.Info(); got != want || got.Revision != testRevision || !got.MadeAt.Equal(testOptions.MadeAt) {
		t.Errorf("got %+v; want %+v", got, want)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("got mode %v, %v; want 0640", fi.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("got %d files; want the snapshot alone", len(left))
	}
}

func TestWriteFileErrors(t *testing.T) {
	dir := t.TempDir()
	if err := index.WriteFile(filepath.Join(dir, "x"), nil); err == nil {
		t.Error("a nil index was written")
	}
	if err := index.WriteFile(filepath.Join(dir, "missing", "x"), small(t)); err == nil {
		t.Error("a file was written into a directory that is not there")
	}
	// A directory in the way fails the rename; the temporary file must go.
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := index.WriteFile(filepath.Join(dir, "taken"), small(t)); err == nil {
		t.Error("a directory was replaced")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("got %d entries; want the directory alone", len(left))
	}
}

// TestDeterministic: the order of Add and Blacklist does not show.
func TestDeterministic(t *testing.T) {
	g := newGenerator(3, 5)
	fs, blacklist := g.registry(500, 20)
	want := build(t, testOptions, fs, blacklist...).Image()
	for range 5 {
		g.Shuffle(len(fs), func(i, j int) { fs[i], fs[j] = fs[j], fs[i] })
		g.Shuffle(len(blacklist), func(i, j int) { blacklist[i], blacklist[j] = blacklist[j], blacklist[i] })
		for i := range fs {
			slices.Reverse(fs[i].Accesses)
		}
		if !bytes.Equal(build(t, testOptions, fs, blacklist...).Image(), want) {
			t.Fatal("the order of Add shows in the snapshot")
		}
	}
}

// TestEveryFlip: no single flipped bit passes. In the table, which is mostly
// empty here, every bit counts as well.
func TestEveryFlip(t *testing.T) {
	image := slices.Clone(small(t).Image())
	for i := range image {
		for bit := range 8 {
			if testing.Short() && i > 4096 && (i+bit)%8 != 0 {
				continue
			}
			image[i] ^= 1 << bit
			if _, err := index.Load(image); err == nil {
				t.Fatalf("bit %d of byte %d was flipped and nobody saw it", bit, i)
			}
			image[i] ^= 1 << bit
		}
	}
	if _, err := index.Load(image); err != nil {
		t.Fatal(err)
	}
}

func TestEveryTruncation(t *testing.T) {
	image := small(t).Image()
	for n := range image {
		if _, err := index.Load(image[:n:n]); err == nil {
			t.Fatalf("%d of %d bytes were accepted", n, len(image))
		}
	}
	for _, more := range []int{1, 63, 64, 4096} {
		if _, err := index.Load(append(slices.Clone(image), make([]byte, more)...)); err == nil {
			t.Fatalf("%d bytes too many were accepted", more)
		}
	}
}

// TestRefusals: what an operator reads.
func TestRefusals(t *testing.T) {
	image := small(t).Image()
	records := binary.LittleEndian.Uint64(image[index.SectionsAt+2*index.SectionSize+8:])
	tests := []struct {
		name   string
		change func(b []byte) []byte
		want   []string
	}{
		{"empty", func([]byte) []byte { return nil }, []string{"no snapshot", "offset 0"}},
		{"text", func([]byte) []byte { return []byte("domain,number,status\nexample.com,,normal\n") }, []string{"no snapshot"}},
		{"head only", func(b []byte) []byte { return b[:100] }, []string{"header", "offset 100", "damaged"}},
		{"short", func(b []byte) []byte { return b[:len(b)-64] }, []string{"offset", "damaged"}},
		{"newer", func(b []byte) []byte { b[8] = 2; index.FixSums(b); return b }, []string{"version 2", "update"}},
		{"a record", func(b []byte) []byte { b[records]++; return b }, []string{`section "records"`, "checksum", "damaged"}},
		{"key", func(b []byte) []byte { b[32]++; return b }, []string{"header", "offset 508"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.icpidx")
			if err := os.WriteFile(path, test.change(slices.Clone(image)), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := index.ReadFile(path)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range append(test.want, path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q; want %q in it", err, want)
				}
			}
		})
	}
}

// use asks x whatever leads through all sections.
func use(x *index.Index) {
	g := newGenerator(7, 4)
	for range 100 {
		d := g.query(nil)
		_ = x.Cover(d)
		_ = x.Records(d)
		a := g.addr()
		_ = x.CoverAddr(a)
		_ = x.RecordsAddr(a)
	}
}

// TestHostile: files with right checksums and wrong numbers give an error or
// answers, never a panic.
func TestHostile(t *testing.T) {
	image := small(t).Image()
	r := rand.New(rand.NewPCG(5, 5))
	accepted := 0
	for range 3000 {
		b := slices.Clone(image)
		for range 1 + r.IntN(3) {
			// Numbers in the header and in the small sections behind the table matter most.
			at := r.IntN(len(b) - 8)
			if r.IntN(2) == 0 {
				at = r.IntN(index.HeaderSize - 8)
			}
			switch r.IntN(3) {
			case 0:
				b[at] = byte(r.Uint32())
			case 1:
				binary.LittleEndian.PutUint32(b[at:], r.Uint32()>>r.IntN(32))
			default:
				binary.LittleEndian.PutUint64(b[at:], -uint64(r.IntN(3)))
			}
		}
		index.FixSums(b)
		if x, err := index.Load(b); err == nil {
			accepted++
			use(x)
		}
	}
	if accepted == 0 {
		t.Error("no changed file was accepted, so no look-up was tried")
	}
}

func FuzzLoad(f *testing.F) {
	g := newGenerator(7, 3)
	fs, blacklist := g.registry(6, 1)
	image := build(f, testOptions, fs, blacklist...).Image()
	f.Add(uint32(0), []byte{1})
	f.Add(uint32(index.SectionsAt+8), []byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, at uint32, patch []byte) {
		b := slices.Clone(image)
		copy(b[int(at)%len(b):], patch)
		index.FixSums(b)
		if x, err := index.Load(b); err == nil {
			use(x)
		}
	})
}

// TestNoPersonalData: the name of an individual is nowhere in the file.
func TestNoPersonalData(t *testing.T) {
	const person, company = "张三丰", "示例有限公司"
	filing := func(d, name string, n registry.Nature) registry.Filing {
		f := registry.Filing{Entity: registry.Entity{Name: name, Nature: n}}
		f.Site.Domains = []registry.Domain{registry.MustParseDomain(d)}
		return f
	}
	ip := filing("ip.example", person, registry.Individual)
	ip.Site.Domains, ip.Site.Kind, ip.Addr = nil, registry.KindIP, netip.MustParseAddr("192.0.2.1")
	x := build(t, testOptions, []registry.Filing{
		filing("person.example", person, registry.Individual), filing("company.example", company, registry.Enterprise), ip,
	})
	if bytes.Contains(x.Image(), []byte(person)) {
		t.Error("the file holds the name of an individual")
	}
	if got := x.Records(registry.MustParseDomain("www.company.example")); len(got) != 1 || got[0].EntityName != company {
		t.Errorf("got %+v; want the company's name", got)
	}
	if got := x.Records(registry.MustParseDomain("person.example")); len(got) != 1 || got[0].EntityName != "" || got[0].Nature != registry.Individual {
		t.Errorf("got %+v; want an individual without a name", got)
	}
}

// TestRecord: all that was filed comes back.
func TestRecord(t *testing.T) {
	day := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	f := registry.Filing{
		Status: registry.StatusChangePending, Restricted: true, AccessesKnown: true, UpdatedAt: day.AddDate(0, 1, 0),
		Accesses: []registry.Access{{Provider: registry.Tencent, At: 5}, {Provider: registry.Aliyun, Status: registry.AccessCancelled, At: -7}},
	}
	f.Entity = registry.Entity{Name: "示例有限公司", Nature: registry.Enterprise, Number: registry.MustParseNumber("沪ICP备00000002号")}
	f.Site = registry.Site{
		Number: registry.MustParseNumber("京ICP备00000001号-3"), Name: "示例网站", FiledAt: day,
		Domains: []registry.Domain{registry.MustParseDomain("a.example")},
	}
	recs := build(t, testOptions, []registry.Filing{f}).Records(f.Site.Domains[0])
	if len(recs) != 1 {
		t.Fatalf("got %d records; want 1", len(recs))
	}
	r := recs[0]
	if r.Domain != f.Site.Domains[0] || r.Number != f.Site.Number || r.EntityNumber != f.Entity.Number || r.EntityName != f.Entity.Name ||
		r.Nature != f.Entity.Nature || r.SiteName != f.Site.Name || r.Status != f.Status || !r.Restricted ||
		!r.FiledAt.Equal(day) || !r.UpdatedAt.Equal(f.UpdatedAt) {
		t.Errorf("got %+v; want what was filed: %+v", r, f)
	}
	if want := []registry.Access{f.Accesses[1], f.Accesses[0]}; !slices.Equal(r.Accesses, want) {
		t.Errorf("got accesses %+v; want %+v", r.Accesses, want)
	}
}
