package bulk

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// addresses reads the server's address of the filing; domains reads that of a
// filing of kind ip.
func (p *parser) addresses(c *cells, r *row) *RowError {
	if r.f.Site.Kind == registry.KindIP {
		return p.filedAddress(c, r)
	}
	col := colFiledIP
	if c.value[col] == "" {
		col = colAddress
	} else if other := c.value[colAddress]; other != "" && other != c.value[col] {
		return rowError(colAddress, other, "address and filed_ip differ", "give one of them")
	}
	list := strings.FieldsFunc(c.value[col], isSeparator)
	if len(list) == 0 {
		return nil
	}
	a, err := address(col, list[0])
	if err != nil {
		return err
	}
	if len(list) > 1 {
		p.warn(WarnAddress, col, c.value[col], "several addresses", "the first was taken")
	}
	r.f.FiledAddr = a
	r.states |= factFiledAddr
	return nil
}

// filedAddress reads the address of a filing of kind ip, which may stand in the
// column domain too.
func (p *parser) filedAddress(c *cells, r *row) *RowError {
	for _, col := range [...]column{colAddress, colDomain} {
		text := c.value[col]
		if text == "" {
			continue
		}
		a, err := address(col, text)
		if err != nil {
			return err
		}
		if r.f.Addr.IsValid() && r.f.Addr != a {
			return rowError(col, text, "domain and address name two addresses", "a filing of kind ip has one")
		}
		r.f.Addr = a
	}
	if text := c.value[colFiledIP]; text != "" {
		a, err := address(colFiledIP, text)
		if err != nil {
			return err
		}
		r.f.FiledAddr = a
		r.states |= factFiledAddr
	}
	return nil
}

func address(col column, text string) (netip.Addr, *RowError) {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return a, rowError(col, text, "is no address", "expect one such as 192.0.2.1 or 2001:db8::1")
	}
	return a.Unmap(), nil
}

// maxCovers, maxDomains and maxAccesses are far above what filings have; they
// bound the work that a hostile row makes.
const (
	maxCovers   = 200
	maxDomains  = 500
	maxAccesses = 200
)

// covers reads the hosts that a filing also covers.
func (p *parser) covers(c *cells, r *row) *RowError {
	if text := c.value[colCovers]; text != "" {
		r.f.Covers = append(r.f.Covers, strings.FieldsFunc(text, isSeparator)...)
		for i, host := range r.f.Covers {
			r.f.Covers[i] = strings.ToLower(host)
		}
		slices.Sort(r.f.Covers)
		if r.f.Covers = slices.Compact(r.f.Covers); len(r.f.Covers) > maxCovers {
			return rowError(colCovers, text, "lists more than 200 hosts", "look for a line end that is missing")
		}
		r.states |= factCovers
	}
	return nil
}
