//go:build linux

package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/bench/rig"
	"github.com/icpgate/icpgate/registry"
)

// The made-up mainland: as many prefixes as real lists have, a quarter of the
// addresses of 32.0.0.0/3 at most, /17 to /24. Nothing is ever sent there.
const (
	prefixes4 = 8192
	prefixes6 = 5000
)

// mainland4 is the i-th prefix of the made-up mainland.
func mainland4(i int) netip.Prefix {
	n := uint32(32)<<24 + uint32(i)<<17
	a := netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	return netip.PrefixFrom(a, 17+i*5%8)
}

// mainland6 is the i-th prefix of it in IPv6.
func mainland6(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x24, 0x08, byte(i >> 8), byte(i)}), 32)
}

// world is the directory with everything that is measured with.
type world struct {
	dir     string
	filings int // in the registry
	rpz     int // names in the policy of servers that take it as RPZ
	hot     int // names in the mix
}

func (w world) path(name string) string { return filepath.Join(w.dir, name) }

// The sets of queries: four names that pass because they are filed to one that
// is not and is blocked, the former alone, the latter alone, and names that pass
// because they lead outside the mainland.
var sets = []string{"mix", "pass", "block", "outside"}

// queries is the file of one set against the first n filings.
func (w world) queries(set string, n int) string { return w.path(fmt.Sprintf("%s-%d.txt", set, n)) }

func (w world) snapshot() string { return w.path(fmt.Sprintf("registry-%d.icp", w.filings)) }

// others is a registry of as many filings, none of which is for a name that is
// asked for.
func (w world) others() string { return w.path(fmt.Sprintf("others-%d.icp", w.filings)) }

func (w world) zone() string { return w.path(fmt.Sprintf("policy-%d.zone", w.rpz)) }

// prepare writes what is not there yet. The large files take a minute or two.
func (w world) prepare() error {
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return err
	}
	if err := w.writeQueries(w.filings); err != nil {
		return err
	}
	if err := w.writeQueries(w.rpz); err != nil {
		return err
	}
	if err := rig.WriteOnce(w.path("mainland"), writeMainland); err != nil {
		return err
	}
	if err := rig.WriteOnce(w.zone(), w.writeZone); err != nil {
		return err
	}
	if err := rig.WriteSnapshot(w.others(), w.filings, w.filings); err != nil {
		return err
	}
	return rig.WriteSnapshot(w.snapshot(), 0, w.filings)
}

func writeMainland(b *bufio.Writer) {
	for i := range prefixes4 {
		fmt.Fprintln(b, mainland4(i))
	}
	for i := range prefixes6 {
		fmt.Fprintln(b, mainland6(i))
	}
}

// writeZone writes the policy as a response policy zone: a filed name and all
// below it pass, what else leads into the mainland gets NODATA.
func (w world) writeZone(b *bufio.Writer) {
	fmt.Fprint(b, "$TTL 60\n@ SOA localhost. root.localhost. 1 3600 600 86400 60\n@ NS localhost.\n")
	for i := range w.rpz {
		if passes(i) {
			fmt.Fprintf(b, "%s CNAME rpz-passthru.\n*.%[1]s CNAME rpz-passthru.\n", corpus.Name(i))
		}
	}
	for i := range prefixes4 {
		p := mainland4(i)
		a := p.Addr().As4()
		fmt.Fprintf(b, "%d.%d.%d.%d.%d.rpz-ip CNAME *.\n", p.Bits(), a[3], a[2], a[1], a[0])
	}
	for i := range prefixes6 {
		fmt.Fprintf(b, "32.zz.%x.2408.rpz-ip CNAME *.\n", i)
	}
}

// passes reports whether the i-th filing lets its name and those below it pass.
func passes(i int) bool { return corpus.Filing(i).Status == registry.StatusNormal }

// writeQueries writes the sets. The mix has all hot names; pass and block are its
// parts, so that a cache holds the same whatever is measured.
func (w world) writeQueries(n int) error {
	for _, set := range sets {
		err := rig.WriteOnce(w.queries(set, n), func(b *bufio.Writer) {
			r := rand.New(rand.NewPCG(1, uint64(n)))
			for k := range w.hot {
				name, in := hotName(r, k, n)
				switch {
				case set == "outside" && in == "block":
					name = outsideLabel + "." + name
				case set != "mix" && set != in:
					continue
				}
				fmt.Fprintf(b, "%s A\n", name)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// blockedInMix reports whether the k-th name of the mix is one to block.
func blockedInMix(k int) bool { return k%5 == 4 }

// hotName makes the k-th name of the mix and says which part of it it is in.
func hotName(r *rand.Rand, k, n int) (name, part string) {
	i := r.IntN(n)
	if blockedInMix(k) {
		return corpus.Unfiled(i), "block"
	}
	for !passes(i) {
		i = r.IntN(n)
	}
	if r.IntN(8) < 5 {
		return corpus.Sub(i, r.Uint64()), "pass"
	}
	return corpus.Name(i), "pass"
}

// outsideLabel is the first label of the names that lead outside the mainland.
const outsideLabel = "abroad"

// addressOf is the address that the upstream answers with.
func addressOf(name string) netip.Addr {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	if strings.HasPrefix(name, outsideLabel+".") {
		return netip.AddrFrom4([4]byte{128, byte(h >> 48), byte(h >> 40), byte(h >> 32)})
	}
	p := mainland4(int(h >> 32 % prefixes4))
	return p.Addr().Next()
}
