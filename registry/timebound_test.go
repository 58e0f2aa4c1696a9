package registry_test

import (
	"math/rand/v2"
	"testing"

	"github.com/icpgate/icpgate/registry"
)

// TestTimeBound: a question that is not bound to the time has the same verdict at
// all times; and most that are not have none of the things that end.
func TestTimeBound(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	const now = 1_700_000_000
	at := func() int64 { return now + int64(random.IntN(200)-100)*86400 }
	bound, turned := 0, 0
	for range 50_000 {
		c := registry.Coverage{Loaded: random.IntN(20) > 0, Blacklisted: random.IntN(20) == 0}
		for range random.IntN(4) {
			f := registry.Covering{Filed: uint8(1 + random.IntN(3)), Restricted: random.IntN(10) == 0, AccessesKnown: random.IntN(2) == 0}
			f.Status = []registry.Status{registry.StatusNormal, registry.StatusCancelled}[random.IntN(8)/7]
			for range random.IntN(3) {
				f.Accesses = append(f.Accesses, registry.Access{
					Provider: []registry.ProviderID{registry.Aliyun, registry.Tencent}[random.IntN(2)],
					Status:   registry.AccessStatus(random.IntN(4)), At: at()})
			}
			c.Filings = append(c.Filings, f)
		}
		q := registry.Query{
			Host: registry.Host{Name: registry.MustParseDomain("www.a.example")}, Place: registry.Mainland,
			Provider: registry.Aliyun, AddressProvider: []registry.ProviderID{registry.Aliyun, ""}[random.IntN(2)], Now: now,
		}
		q.Policy.PendingAccess = registry.PendingAccessPolicy(random.IntN(2))
		if random.IntN(4) == 0 {
			q.Exemption = registry.Exemption{Granted: true, Until: int64(random.IntN(2)) * at(), Authority: random.IntN(2) == 0}
		}
		first, same := registry.Decide(q, c), true
		for range 10 {
			later := q
			later.Now = at()
			same = same && registry.Decide(later, c) == first
		}
		if q.TimeBound(&c) {
			bound++
		} else if !same {
			t.Fatalf("%+v of %+v turns with the time; want it bound to it", q, c)
		}
		if !same {
			turned++
		}
	}
	if turned < 1000 || bound > 5*turned {
		t.Errorf("%d are bound to the time, %d turned with it; want not many more", bound, turned)
	}
}
