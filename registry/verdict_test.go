package registry_test

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/cases"
)

// questions are all decisions that the rule book's cases ask for.
func questions(tb testing.TB) []cases.Question {
	tb.Helper()
	const path = "testdata/cases.jsonl"
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var all []cases.Question
	for c, err := range cases.Read(path, f) {
		if err != nil {
			tb.Fatal(err)
		}
		qs, err := cases.Questions(c, cases.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		for _, q := range qs {
			if !q.Malformed {
				all = append(all, q)
			}
		}
	}
	return all
}

func TestDecideAllocatesNothing(t *testing.T) {
	var sink registry.Verdict
	for _, q := range questions(t) {
		if n := testing.AllocsPerRun(10, func() { sink = registry.Decide(q.Query, q.Coverage) }); n != 0 {
			t.Errorf("Decide of %q, %s: got %v allocations; want none", q.Query.Host, sink.Reason, n)
		}
	}
}

// TestDecideIsPure: the same arguments give the same verdict.
func TestDecideIsPure(t *testing.T) {
	for _, q := range questions(t) {
		first := registry.Decide(q.Query, q.Coverage)
		for range 3 {
			if again := registry.Decide(q.Query, q.Coverage); again != first {
				t.Fatalf("Decide of %q: got %+v, then %+v", q.Query.Host, first, again)
			}
		}
	}
}

// TestVerdictsAreWhole: block or pass follows from the reason, and a page is
// shown exactly for a block.
func TestVerdictsAreWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		q, c := randomQuery(r), randomCoverage(r)
		v := registry.Decide(q, c)
		want := v.Reason.Blocks() || v.Reason == registry.Undecided && q.Policy.Fail == registry.FailClosed
		if v.Block != want || (v.Page() != registry.PageNone) != v.Block {
			t.Fatalf("%+v %+v: got %+v, page %s", q, c, v, v.Page())
		}
	}
}

// TestOutsideTheMainlandNothingBlocks, whatever the policy and the registry.
func TestOutsideTheMainlandNothingBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		q, c := randomQuery(r), randomCoverage(r)
		if q.Place == registry.Mainland {
			continue
		}
		if v := registry.Decide(q, c); v.Block {
			t.Fatalf("%+v %+v: got %+v; want a pass", q, c, v)
		}
	}
}

// TestAnAccessNeverHurts: adding an active access here never turns a pass into a
// block.
func TestAnAccessNeverHurts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 50_000 {
		q, c := randomQuery(r), randomCoverage(r)
		if len(c.Filings) == 0 || registry.Decide(q, c).Block {
			continue
		}
		more := c
		more.Filings = append([]registry.Covering(nil), c.Filings...)
		f := &more.Filings[r.IntN(len(more.Filings))]
		f.AccessesKnown, f.Accesses = true, []registry.Access{{Provider: q.Provider}}
		if v := registry.Decide(q, more); v.Block {
			t.Fatalf("%+v %+v: got %+v with an access here; want a pass as before", q, c, v)
		}
	}
}

func TestWorse(t *testing.T) {
	order := []registry.Reason{registry.Blacklisted, registry.Restricted, registry.Malformed, registry.Cancelled, registry.Unfiled,
		registry.GovUnitUnfiled, registry.IPUnfiled, registry.IPRefused, registry.NoHostRefused, registry.Shell,
		registry.AccessCancelledHere, registry.NotAccessed, registry.Undecided}
	for i, a := range order {
		for j, b := range order {
			v, w := registry.Verdict{Reason: a, Block: true}, registry.Verdict{Reason: b, Block: true}
			if got, want := v.Worse(w).Reason, order[min(i, j)]; got != want {
				t.Errorf("the worse of %s and %s: got %s; want %s", a, b, got, want)
			}
		}
	}
	pass1, pass2 := registry.Verdict{Reason: registry.Accessed}, registry.Verdict{Reason: registry.Exempt}
	mildest := registry.Verdict{Reason: registry.NotAccessed, Block: true}
	if pass1.Worse(pass2) != pass1 || pass2.Worse(pass1) != pass2 {
		t.Error("the worse of two passes: want the first")
	}
	if pass1.Worse(mildest) != mildest || mildest.Worse(pass1) != mildest {
		t.Error("the worse of a pass and a block: want the block")
	}
	open := registry.Verdict{Reason: registry.Undecided}
	if open.Worse(mildest) != mildest || pass1.Worse(open) != pass1 {
		t.Error("undecided under fail open: want it to count as a pass")
	}
	advised := registry.Verdict{Reason: registry.NotAccessed, Block: true, Filed: 2}
	if mildest.Worse(advised) != mildest {
		t.Error("the worse of two equal blocks: want the first")
	}
}

func TestZeroQueryIsNotJudged(t *testing.T) {
	if got := registry.Decide(registry.Query{}, registry.Coverage{}); got != (registry.Verdict{Reason: registry.NotJudged}) {
		t.Errorf("got %+v; want not-judged", got)
	}
}

func TestChannelWords(t *testing.T) {
	for c := registry.Channel(0); !strings.HasPrefix(c.String(), "invalid"); c++ {
		if again, err := registry.ParseChannel(c.String()); err != nil || again != c {
			t.Errorf("%s: got %v, %v back; want itself", c, again, err)
		}
	}
	if _, err := registry.ParseChannel("gopher"); err == nil {
		t.Error("ParseChannel(gopher): got nil; want an error")
	}
}

func BenchmarkDecide(b *testing.B) {
	all := questions(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		q := &all[i%len(all)]
		registry.Decide(q.Query, q.Coverage)
		i++
	}
}

var (
	randomHosts = []registry.Host{{}, {Name: registry.MustParseDomain("www.shop.example.com")}, {Name: registry.MustParseDomain("b1.a.gov.cn")},
		{Name: registry.MustParseDomain("localhost")}, {Name: registry.MustParseDomain("x.nosuchtld"), ACME: true},
		{Addr: netip.MustParseAddr("192.0.2.1")}}
	randomProviders = []registry.ProviderID{"", "cloud-a", "cloud-b", registry.Huawei}
)

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

func coin(r *rand.Rand) bool { return r.IntN(2) == 0 }

func randomQuery(r *rand.Rand) registry.Query {
	return registry.Query{
		Host: pick(r, randomHosts), Channel: registry.Channel(r.IntN(4)), Place: registry.Place(r.IntN(8)),
		Provider: pick(r, randomProviders), AddressProvider: pick(r, randomProviders),
		Product: registry.Product(r.IntN(14)), Acceleration: registry.Acceleration(r.IntN(4)), Origin: registry.Origin(r.IntN(4)),
		OriginPull: coin(r),
		Policy: registry.Policy{Gov: registry.GovPolicy(r.IntN(2)), IPLiteral: registry.IPLiteralPolicy(r.IntN(3)),
			NoHost: registry.NoHostPolicy(r.IntN(2)), PendingAccess: registry.PendingAccessPolicy(r.IntN(2)), Fail: registry.FailPolicy(r.IntN(2))},
		Exemption: registry.Exemption{Granted: r.IntN(4) == 0, Until: int64(r.IntN(3)), Authority: coin(r)},
		Now:       int64(r.IntN(3)),
	}
}

func randomCoverage(r *rand.Rand) registry.Coverage {
	c := registry.Coverage{Loaded: r.IntN(8) > 0, Blacklisted: r.IntN(8) == 0, GovFiled: coin(r)}
	for filed := 3; filed > 0; filed-- {
		for range r.IntN(3) {
			f := registry.Covering{Filed: uint8(filed), Kind: registry.Kind(r.IntN(5)), Status: registry.Status(r.IntN(5)),
				Inherited: r.IntN(4) == 0, Restricted: r.IntN(8) == 0, AccessesKnown: coin(r)}
			if f.AccessesKnown {
				for _, id := range randomProviders[1:] {
					if coin(r) {
						f.Accesses = append(f.Accesses, registry.Access{Provider: id, Status: registry.AccessStatus(r.IntN(4)), At: int64(r.IntN(2))})
					}
				}
			}
			c.Filings = append(c.Filings, f)
		}
	}
	return c
}
