// Package corpus makes registries and queries of any size for benchmarks: the
// same index gives the same name and filing in every run and on every machine,
// without holding any of them in memory.
//
//	for i := range 5_000_000 {
//		b.Add(corpus.Filing(i))
//	}
//	q := corpus.NewQueries(5_000_000, 1)
//	name := q.Next() // 50 % below a filed name, 30 % filed, 20 % unfiled
//
// Names and numbers are made up and look it; lengths and TLDs are mixed like
// those of names with access points in the mainland.
package corpus

import (
	"fmt"
	"strconv"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// tlds with their share in a thousand names.
var tlds = []struct {
	suffix string
	share  int
}{
	{"com", 520}, {"cn", 280}, {"com.cn", 80}, {"net", 45}, {"top", 20}, {"org", 10}, {"vip", 8}, {"xyz", 7}, {"net.cn", 7},
	{"org.cn", 6}, {"gov.cn", 5}, {"club", 4}, {"info", 3}, {"xn--fiqs8s", 2}, {"ltd", 2}, {"shop", 1},
}

// mix is the finaliser of splitmix64: each index gets bits that look random.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

// appendName appends the i-th registrable name. A number at the end of the label
// makes names differ for sure; its length grows with i like that of names does
// with the size of a registry.
func appendName(b []byte, i int, prefix byte) []byte {
	h := mix(uint64(i))
	b = append(b, prefix)
	for n := 1 + h%9; n > 0; n-- {
		h = mix(h)
		b = append(b, letters[h%26])
	}
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(i), 36)
	b = append(b, '.')
	return append(b, tldOf(i)...)
}

func tldOf(i int) string {
	r := int(mix(uint64(i)^0xa5a5) % 1000)
	for _, t := range tlds {
		if r -= t.share; r < 0 {
			return t.suffix
		}
	}
	return tlds[0].suffix
}

// Name returns the i-th filed name.
func Name(i int) string { return string(appendName(nil, i, 'f')) }

// Unfiled returns the i-th of the names that no filing of a corpus covers.
func Unfiled(i int) string { return string(appendName(nil, i, 'u')) }

// hosts are the labels that stand before a filed name in queries.
var hosts = []string{"www", "m", "api", "img", "cdn", "mail", "static", "h5", "shop", "r1---sn-a_b", "a.b.c"}

// Sub returns a name below the i-th filed name; salt picks which. Below a
// government suffix it is always "www", which alone is covered there.
func Sub(i int, salt uint64) string {
	host := "www"
	if tldOf(i) != "gov.cn" {
		host = hosts[mix(uint64(i)^salt)%uint64(len(hosts))]
	}
	return string(appendName(append([]byte(host), '.'), i, 'f'))
}

// providers of the made-up accesses.
var providers = []registry.ProviderID{"cloud-a", "cloud-b", "cloud-c", "cloud-d"}

// made is the day of the oldest made-up filing.
var made = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)

// Filing returns the i-th filing: nine in ten are normal with one access, the
// others cancelled, under review, accessed with several or of unknown access.
func Filing(i int) registry.Filing {
	h := mix(uint64(i) ^ 0x5a5a)
	entity := registry.MustParseNumber(fmt.Sprintf("京ICP备%010d号", 1+i/2))
	f := registry.Filing{
		Site: registry.Site{
			Number:  entity.Site(1+i%2, registry.KindSite),
			Name:    "Sample site",
			Domains: []registry.Domain{registry.MustParseDomain(Name(i))},
			FiledAt: made.Add(time.Duration(i%5000) * 24 * time.Hour),
		},
		Entity:        registry.Entity{Number: entity, Name: "Sample entity " + strconv.Itoa(i/2), Nature: registry.Enterprise},
		AccessesKnown: true,
		Accesses:      []registry.Access{{Provider: providers[h%4]}},
	}
	f.UpdatedAt = f.Site.FiledAt
	switch h >> 8 % 100 {
	case 0, 1, 2:
		f.Status, f.Accesses = registry.StatusCancelled, nil
	case 3:
		f.Status, f.Accesses = registry.StatusFirstFilingPending, nil
	case 4, 5, 6:
		f.Accesses = append(f.Accesses, registry.Access{Provider: providers[(h+1)%4]})
	case 7, 8:
		f.Accesses, f.AccessesKnown = nil, false
	case 9:
		f.Accesses = nil
	}
	return f
}

// Queries makes names to ask for. It is not safe for concurrent use: give every
// goroutine its own, with its own seed.
type Queries struct {
	filings int
	state   uint64
}

// NewQueries returns a source of queries against the first n filings.
func NewQueries(n int, seed uint64) *Queries { return &Queries{filings: n, state: mix(seed)} }

// Index returns the number of a filing.
func (q *Queries) Index() int {
	q.state = mix(q.state)
	return int(mix(q.state^0x77) % uint64(q.filings))
}

// Next returns a name: half are below a filed one, three in ten are filed
// themselves, two in ten unfiled.
func (q *Queries) Next() string {
	i := q.Index()
	switch r := q.state % 10; {
	case r < 5:
		return Sub(i, q.state)
	case r < 8:
		return Name(i)
	}
	return Unfiled(i)
}
