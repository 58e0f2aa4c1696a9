package place

import (
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"

	"github.com/icpgate/icpgate/registry"
)

// Networks is an operator's networks file: whose prefixes are, which product and
// where. It is immutable and safe for concurrent use. The nil Networks and the
// zero one know no network.
type Networks struct {
	services bart.Table[network] // every row but those of the next table
	pulls    bart.Table[network] // rows of product origin-pull
}

// network is one row.
type network struct {
	where   Where
	written bool // the place is written out, not told by the region
	line    int
}

// originPull is what a networks file calls the ranges from which a CDN fetches
// from origins. It is no product that answers clients.
const originPull = "origin-pull"

// ParseNetworks reads networks, one a line:
//
//	CIDR PROVIDER PRODUCT|origin-pull REGION [PLACE]
//
// "#" begins a comment. "-" is an unknown provider, product or region. PLACE is
// mainland, hong-kong, macao, taiwan, overseas, private, or unknown to leave it
// to the next source; it may be absent where the provider's region tells it. The
// longest prefix decides. An origin-pull row adds to the row of the same or a
// wider prefix: what the same provider serves from there stays its product.
// Errors name file (name) and line.
func ParseNetworks(name string, r io.Reader) (*Networks, error) {
	ns := new(Networks)
	err := readLines(name, r, func(line int, fields []string) error {
		p, n, err := parseNetwork(fields)
		if err != nil {
			return err
		}
		n.line = line
		return ns.add(p, n)
	})
	if err != nil {
		return nil, err
	}
	return ns, nil
}

func parseNetwork(fields []string) (p netip.Prefix, n network, err error) {
	if len(fields) < 4 || len(fields) > 5 {
		return p, n, fmt.Errorf("%d fields; expect CIDR PROVIDER PRODUCT REGION [PLACE], with - for what is unknown", len(fields))
	}
	if p, err = registry.ParsePrefix(fields[0]); err != nil {
		return p, n, err
	}
	if n.where, err = parseService(fields[1:4]); err != nil {
		return p, n, err
	}
	n.written = len(fields) == 5
	if n.written {
		n.where.Place, err = parseWrittenPlace(fields[4], n.where)
		return p, n, err
	}
	var ok bool
	if n.where.Place, ok = OfRegion(n.where.Provider, n.where.Region); !ok {
		err = fmt.Errorf("region %q of provider %q does not tell the place; add mainland, hong-kong, macao, taiwan or overseas as fifth field", fields[3], fields[1])
	}
	return p, n, err
}

// parseService reads PROVIDER PRODUCT REGION.
func parseService(fields []string) (w Where, err error) {
	if w.Provider, err = parseProvider(fields[0]); err != nil {
		return w, err
	}
	if fields[1] == originPull {
		w.OriginPull = true
	} else if w.Product, err = parseProduct(fields[1]); err != nil {
		return w, fmt.Errorf("%w; or %s for back-to-origin ranges", err, originPull)
	}
	w.Region, err = parseRegion(fields[2])
	return w, err
}

// parseProvider reads a provider, "-" for an unknown one.
func parseProvider(s string) (registry.ProviderID, error) {
	if s == "-" {
		return "", nil
	}
	return registry.ParseProviderID(show(s))
}

// parseProduct reads a product, "-" for an unknown one.
func parseProduct(s string) (registry.Product, error) {
	if s == "-" {
		return registry.ProductUnknown, nil
	}
	return registry.ParseProduct(show(s))
}

// maxRegion bounds a region's name; those of all providers known to us have
// less than 30 bytes.
const maxRegion = 64

func parseRegion(s string) (string, error) {
	if s == "-" {
		return "", nil
	}
	if len(s) > maxRegion {
		return "", fmt.Errorf("region %q is longer than %d bytes", show(s), maxRegion)
	}
	return strings.ToLower(s), nil
}

// parseWrittenPlace reads the fifth field, which must not contradict the region:
// that is how Hong Kong gets into the mainland by mistake.
func parseWrittenPlace(s string, w Where) (registry.Place, error) {
	p, err := registry.ParsePlace(s)
	if err != nil || p == registry.PlaceNone {
		return p, fmt.Errorf("unknown place %q; expect mainland, hong-kong, macao, taiwan, overseas, private or unknown", show(s))
	}
	of, ok := OfRegion(w.Provider, w.Region)
	if ok && of != p && p != registry.Private && p != registry.PlaceUnknown {
		return p, fmt.Errorf("region %q of %q is %s, not %s; if the place is right, write - as region", w.Region, w.Provider, of, p)
	}
	return p, nil
}

// add takes a row, unless another row says something else of the same prefix.
func (ns *Networks) add(p netip.Prefix, n network) error {
	same, beside := &ns.services, &ns.pulls
	if n.where.OriginPull {
		same, beside = beside, same
	}
	if old, ok := same.Get(p); ok {
		if old.where != n.where || old.written != n.written {
			return fmt.Errorf("%s was given with other values in line %d; keep one", p, old.line)
		}
		return nil
	}
	if old, ok := beside.Get(p); ok && !old.agrees(n) {
		return fmt.Errorf("%s has another provider, region or place than in line %d; an origin-pull row must agree with the row it adds to", p, old.line)
	}
	same.Insert(p, n)
	return nil
}

// agrees reports whether two rows of one prefix differ in nothing but the product.
func (n network) agrees(m network) bool {
	a, b := n.where, m.where
	return a.Provider == b.Provider && a.Region == b.Region && a.Place == b.Place
}

// find returns the row that decides for the whole of p, and its prefix.
func (ns *Networks) find(p netip.Prefix) (netip.Prefix, network, bool) {
	if ns == nil {
		return netip.Prefix{}, network{}, false
	}
	at, n, ok := ns.services.LookupPrefixLPM(p)
	pullAt, pull, pulls := ns.pulls.LookupPrefixLPM(p)
	if !pulls || ok && pullAt.Bits() < at.Bits() {
		return at, n, ok
	}
	if ok && n.where.Provider == pull.where.Provider {
		pull.where.Product = n.where.Product
	}
	pull.written = pull.written || n.written && pullAt == at
	return pullAt, pull, true
}
