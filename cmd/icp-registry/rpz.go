package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
	"github.com/icpgate/icpgate/registry/place"
)

// policyZone is a response policy zone (draft-vixie-dnsop-dns-rpz).
type policyZone struct {
	x        *index.Index
	origin   string // with its dot
	withhold string // the target of what is withheld
	mainland []netip.Prefix
}

// policyZone reads the settings of a response policy zone.
func (x *exporting) policyZone(v *index.Index) (*policyZone, error) {
	z := &policyZone{x: v, origin: strings.TrimSuffix(x.zone, ".") + "."}
	if _, err := registry.ParseDomain(x.zone); err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	switch x.answer {
	case "nodata":
		z.withhold = "*."
	case "nxdomain":
		z.withhold = "."
	default:
		return nil, fmt.Errorf("answer %q; expect nodata or nxdomain", x.answer)
	}
	f, err := os.Open(x.mainland)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := place.ParseMainland(x.mainland, f)
	if err != nil {
		return nil, err
	}
	z.mainland = slices.SortedFunc(list.Mainland(), func(p, q netip.Prefix) int {
		return cmp.Or(p.Addr().Compare(q.Addr()), cmp.Compare(p.Bits(), q.Bits()))
	})
	return z, nil
}

// write writes the zone. Rules by name come before rules by address in every
// server, so that a filed name passes wherever it points.
func (z *policyZone) write(ctx context.Context, w io.Writer) error {
	b := bufio.NewWriter(w)
	info := z.x.Info()
	serial := uint32(info.Revision.Rev) // RFC 1982: it may wrap
	fmt.Fprintf(b, "; revision %s, %d filings\n$TTL 60\n$ORIGIN %s\n@ SOA localhost. nobody.invalid. %d 3600 600 86400 60\n@ NS localhost.\n",
		info.Revision, info.Filings, z.origin, serial)
	listed := map[registry.Domain]bool{}
	for _, d := range slices.SortedFunc(z.x.Blacklisted(), compareDomains) {
		listed[d] = true
		fmt.Fprintf(b, "%s CNAME %s\n*.%s CNAME %s\n", d, z.withhold, d, z.withhold)
	}
	written := map[registry.Domain]bool{}
	for f := range z.x.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if n := len(f.Site.Domains); n > 0 {
			z.filing(b, &f, f.Site.Domains[n-1], listed, written)
		}
	}
	for _, p := range z.mainland {
		fmt.Fprintf(b, "%s CNAME %s\n", addressTrigger(p), z.withhold)
	}
	return b.Flush()
}

func compareDomains(a, b registry.Domain) int { return strings.Compare(a.String(), b.String()) }

// filing writes the rules of a filing under one of its names.
func (z *policyZone) filing(b *bufio.Writer, f *registry.Filing, d registry.Domain, listed, written map[registry.Domain]bool) {
	if !f.Status.Stands() || f.Restricted || listed[d] || written[d] {
		return
	}
	written[d] = true
	fmt.Fprintf(b, "%s CNAME rpz-passthru.\n", d)
	if !d.IsGov() {
		fmt.Fprintf(b, "*.%s CNAME rpz-passthru.\n", d)
		return
	}
	// Every unit files for itself: a filing covers its name, www and what it lists.
	fmt.Fprintf(b, "www.%s CNAME rpz-passthru.\n", d)
	for _, host := range f.Covers {
		name := host
		if !strings.HasSuffix(host, "."+d.String()) {
			name = host + "." + d.String()
		}
		if e, err := registry.ParseDomain(name); err == nil && !written[e] && !listed[e] {
			written[e] = true
			fmt.Fprintf(b, "%s CNAME rpz-passthru.\n", e)
		}
	}
}

// addressTrigger is the owner of a rule by address: the length of the prefix and
// its address backwards, IPv6 in groups with "zz" for the longest run of zeros.
func addressTrigger(p netip.Prefix) string {
	if p.Addr().Is4() {
		a := p.Addr().As4()
		return fmt.Sprintf("%d.%d.%d.%d.%d.rpz-ip", p.Bits(), a[3], a[2], a[1], a[0])
	}
	words := strings.Split(p.Addr().String(), ":")
	if strings.HasSuffix(p.Addr().String(), "::") {
		words = words[:len(words)-1]
	}
	if words[0] == "" {
		words = words[1:]
	}
	for i, w := range words {
		if w == "" {
			words[i] = "zz"
		}
	}
	slices.Reverse(words)
	return fmt.Sprintf("%d.%s.rpz-ip", p.Bits(), strings.Join(words, "."))
}
