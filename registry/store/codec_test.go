package store_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/store"
)

// randomFiling makes a filing that could be.
func randomFiling(r *rand.Rand) registry.Filing {
	names := []string{"example.com", "a.example.org", "b.example.gov.cn", "xn--fiqs8s.example"}
	f := registry.Filing{
		Site:      registry.Site{Number: registry.MustParseNumber("京ICP备00000001号-3"), Name: "名称 of a site", Domains: []registry.Domain{registry.MustParseDomain(names[r.IntN(len(names))])}},
		Entity:    registry.Entity{Number: registry.MustParseNumber("粤B2-20090059"), Name: "Sample", Nature: registry.Nature(r.IntN(17))},
		Status:    registry.Status(r.IntN(5)),
		FiledAddr: netip.MustParseAddr("2001:db8::1"),
		UpdatedAt: time.Unix(r.Int64N(4e9), 0).In(day(2021, 1, 1).Location()),
	}
	f.Restricted, f.AccessesKnown = r.IntN(2) == 0, true
	if r.IntN(4) == 0 {
		f.Site.Number, f.Site.FiledAt = registry.Number{}, time.Unix(-r.Int64N(1e9), 0).In(day(2021, 1, 1).Location())
	}
	for i := range r.IntN(4) {
		f.Accesses = append(f.Accesses, registry.Access{Provider: registry.ProviderID("cloud-" + string(rune('a'+i))), Status: registry.AccessStatus(r.IntN(4)), At: r.Int64N(4e9)})
	}
	if r.IntN(5) == 0 {
		f.Site.Kind, f.Site.Domains, f.Addr = registry.KindIP, nil, netip.MustParseAddr("192.0.2.1")
	}
	return f
}

func TestCodec(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		f := randomFiling(r)
		got, err := store.DecodeFiling(store.EncodeFiling(&f))
		if err != nil || !same(got, f) || !got.UpdatedAt.Equal(f.UpdatedAt) {
			t.Fatalf("%+v became %+v, %v", f, got, err)
		}
	}
}

// FuzzDecodeFiling: what reads is what is written again.
func FuzzDecodeFiling(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 20 {
		one := randomFiling(r)
		f.Add(store.EncodeFiling(&one))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := store.DecodeFiling(b)
		if err != nil {
			return
		}
		again, err := store.DecodeFiling(store.EncodeFiling(&got))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%+v became %+v, %v", got, again, err)
		}
	})
}

// FuzzDecodeChanges: the body of a revision reads as a whole or not at all.
func FuzzDecodeChanges(f *testing.F) {
	r := rand.New(rand.NewPCG(9, 10))
	var changes []registry.Change
	for range 5 {
		one := randomFiling(r)
		if len(one.Site.Domains) > 0 {
			changes = append(changes, registry.Change{Kind: registry.ChangeFilings, Name: one.Site.Domains[0], Filings: []registry.Filing{one}})
		}
	}
	changes = append(changes, registry.Change{Kind: registry.ChangeListed, Name: registry.MustParseDomain("example.net")})
	f.Add(store.EncodeChanges(changes, []registry.Entry{{List: registry.ListTLDs, Key: "com"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := store.DecodeChanges(b)
		if err != nil {
			return
		}
		for i := range p.Changes {
			if err := p.Changes[i].Check(); err != nil {
				t.Errorf("change %d: %v", i, err)
			}
		}
	})
}

// FuzzBackup: whatever a file holds, it is refused or read, in bounded memory.
func FuzzBackup(f *testing.F) {
	w := &world{dsn: filepath.Join(f.TempDir(), "registry.db"), now: day(2026, 3, 1), key: store.NewKey()}
	s, err := store.Open(background, w.dsn, store.Options{Now: w.clock, Key: w.key})
	if err != nil {
		f.Fatal(err)
	}
	defer s.Close()
	var b bytes.Buffer
	if _, err := s.Backup(background, &b); err != nil {
		f.Fatal(err)
	}
	plain, err := store.Unzip(b.Bytes())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Fuzz(func(t *testing.T, plain []byte) {
		info, err := store.VerifyBackup(bytes.NewReader(store.Zip(plain)))
		if err == nil && info.Rows["meta"] != 1 {
			t.Errorf("got %+v of a backup without meta", info)
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, store.ErrBackup) {
			t.Errorf("got %v; want ErrBackup", err)
		}
	})
}
