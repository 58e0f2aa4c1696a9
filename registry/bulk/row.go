package bulk

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// facts is a set of what a row states. What it does not state it leaves to
// other rows of the same filing.
type facts uint16

const (
	factDomains facts = 1 << iota
	factEntityNumber
	factEntityName
	factNature
	factSiteName
	factKind
	factStatus
	factFiledAt
	factRestricted
	factCovers
	factFiledAddr
)

// row is one accepted row.
type row struct {
	f      registry.Filing
	states facts
	none   bool // it says that there is no access
	file   uint16
	line   uint32
	seq    uint32 // orders rows over all files
}

// reset empties r for the next row and keeps its slices.
func (r *row) reset() {
	domains, accesses, covers := r.f.Site.Domains[:0], r.f.Accesses[:0], r.f.Covers[:0]
	*r = row{}
	r.f.Site.Domains, r.f.Accesses, r.f.Covers = domains, accesses, covers
}

// parser makes rows of cells. The zero value is ready; not for concurrent use.
type parser struct {
	now       time.Time // zero: no day is in the future
	warnings  []Warning // of the row at hand
	providers map[string]registry.ProviderID
	natures   map[string]registry.Nature
}

func (p *parser) warn(k WarningKind, c column, value, reason, hint string) {
	p.warnings = append(p.warnings, Warning{k, rowError(c, value, reason, hint).Problem})
}

// row reads c into r. On an error r is of no use.
func (p *parser) row(c *cells, r *row) *RowError {
	r.reset()
	p.warnings = p.warnings[:0]
	for i := range c.value {
		c.value[i] = trim(c.value[i])
	}
	for _, read := range [...]func(*parser, *cells, *row) *RowError{
		(*parser).numbers, (*parser).kind, (*parser).names, (*parser).status, (*parser).times,
		(*parser).addresses, (*parser).domains, (*parser).accesses, (*parser).covers,
	} {
		if err := read(p, c, r); err != nil {
			return err
		}
	}
	if err := r.f.Check(); err != nil {
		return blame(c, &r.f, err)
	}
	p.province(c, r)
	return nil
}

// blame finds the column that Check refuses.
func blame(c *cells, f *registry.Filing, err error) *RowError {
	for _, d := range f.Site.Domains {
		if d.Fileable() != nil {
			return refuseFor(colDomain, d.String(), d.Fileable())
		}
	}
	switch {
	case f.Site.Check() != nil && len(f.Site.Domains) == 0 && f.Site.Kind.App():
		return rowError(colDomain, "", "the record of an app without a domain covers nothing", "leave it out")
	case f.Site.Check() != nil:
		return refuseFor(colDomain, c.value[colDomain], err)
	case f.Site.Kind == registry.KindIP && !f.Addr.IsValid():
		return rowError(colAddress, "", "a filing of kind ip without its address", "put the address into domain or address")
	case len(f.Covers) > 0:
		return refuseFor(colCovers, c.value[colCovers], err)
	}
	return refuseFor(colProvider, c.value[colProvider], err)
}

// numbers reads the site's and the entity's number.
func (p *parser) numbers(c *cells, r *row) *RowError {
	site, err := p.number(c, colNumber)
	if err != nil {
		return err
	}
	var entity registry.Number
	if text := c.value[colEntityNumber]; len(p.warnings) == 0 && isEntityOf(text, c.value[colNumber]) {
		entity = site.Entity() // as nearly always: not parsed twice
	} else if entity, err = p.number(c, colEntityNumber); err != nil {
		return err
	}
	if entity.HasOrdinal() {
		p.warn(WarnEntityNumber, colEntityNumber, c.value[colEntityNumber], "is a site's number", "the entity's has no ordinal; it was cut off")
		entity = entity.Entity()
	}
	if !site.IsZero() && !site.HasOrdinal() {
		p.warn(WarnNumberWithoutOrdinal, colNumber, c.value[colNumber], "is an entity's number", "a site's ends in an ordinal such as -1; the filing is kept without one")
	}
	switch {
	case entity.IsZero():
		entity = site.Entity()
		if !site.IsZero() && !site.HasOrdinal() {
			r.states |= factEntityNumber
		}
	case !site.IsZero() && site.Entity() != entity:
		p.warn(WarnEntityNumber, colEntityNumber, c.value[colEntityNumber], "is not the entity of the site number "+site.String(), "check which of them is right")
		r.states |= factEntityNumber
	default:
		r.states |= factEntityNumber
	}
	if site.HasOrdinal() {
		r.f.Site.Number = site
	}
	r.f.Entity.Number = entity
	return nil
}

// isEntityOf reports whether entity is what stands before the ordinal of a site
// number in canonical spelling.
func isEntityOf(entity, site string) bool {
	rest, ok := strings.CutPrefix(site, entity)
	return ok && entity != "" && strings.HasPrefix(rest, "-") && strings.HasSuffix(entity, "号")
}

func (p *parser) number(c *cells, col column) (registry.Number, *RowError) {
	text := c.value[col]
	if text == "" {
		return registry.Number{}, nil
	}
	n, warnings, err := registry.ParseNumber(text)
	if err != nil {
		return n, refuseFor(col, text, err)
	}
	if warnings != 0 {
		p.warn(WarnNumberSpelling, col, text, "unusual spelling ("+warnings.String()+")", "read as "+n.String())
	}
	return n, nil
}

// kindAliases are what the public query and tables made from it call the kinds;
// the digits are its serviceType.
var kindAliases = map[string]registry.Kind{
	"1": registry.KindSite, "网站": registry.KindSite,
	"6": registry.KindApp, "app": registry.KindApp, "移动应用": registry.KindApp,
	"7": registry.KindMiniProgram, "小程序": registry.KindMiniProgram,
	"8": registry.KindQuickApp, "快应用": registry.KindQuickApp,
}

// kind reads the kind, and compares it with the letter behind the number. Where
// they differ the more careful one counts: an app's filing opens no website, so
// what either of them calls an app is one, and a site with an app's number is
// refused.
func (p *parser) kind(c *cells, r *row) *RowError {
	text, number := c.value[colKind], r.f.Site.Number
	if text == "" {
		r.f.Site.Kind = number.Service()
		if number.Service().App() {
			r.states |= factKind
		}
		return nil
	}
	k, ok := kindAliases[strings.ToLower(text)]
	if !ok {
		var err error
		if k, err = registry.ParseKind(text); err != nil {
			return refuseFor(colKind, text, err)
		}
	}
	switch letter := number.Service(); {
	case k == letter:
	case letter.App() && !k.App():
		return rowError(colKind, text, "the number "+number.String()+" is that of a "+letter.String(), "leave the kind empty, or correct the number")
	case letter.App():
		p.warn(WarnKind, colKind, text, "the number "+number.String()+" is that of a "+letter.String(), "the number is believed")
		k = letter
	case k.App() && number.HasOrdinal():
		p.warn(WarnKind, colKind, text, "the number "+number.String()+" has no letter, as a site's", "it was kept as "+k.String()+", which covers no site")
	}
	r.f.Site.Kind = k
	r.states |= factKind
	return nil
}

// maxName is far above the longest names of entities and sites.
const maxName = 1000

// names reads the names of entity and site, and the entity's nature.
func (p *parser) names(c *cells, r *row) *RowError {
	for _, col := range [...]column{colEntityName, colSiteName} {
		if len(c.value[col]) > maxName {
			return rowError(col, c.value[col], "is longer than 1000 bytes", "look for a quote or a line end that is missing")
		}
	}
	r.f.Entity.Name, r.f.Site.Name = printable(c.value[colEntityName]), printable(c.value[colSiteName])
	if r.f.Entity.Name != "" {
		r.states |= factEntityName
	}
	if r.f.Site.Name != "" {
		r.states |= factSiteName
	}
	if text := c.value[colNature]; text != "" {
		p.nature(text, r)
	}
	return nil
}

// printable turns line ends and other control characters into spaces, since
// names end up on terminals and in logs.
func printable(s string) string {
	suspect := false
	for i := range len(s) {
		// 0xc2 begins U+0080 to U+009F, 0xe2 the separators U+2028 and U+2029.
		suspect = suspect || s[i] < ' ' || s[i] == 0x7f || s[i] == 0xc2 || s[i] == 0xe2
	}
	if !suspect {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}

// maxInterned bounds the maps from spellings to values.
const maxInterned = 1 << 12

// nature reads the entity's nature; nothing is decided by it, so an unknown
// word is no reason to lose a filing.
func (p *parser) nature(text string, r *row) {
	n, ok := p.natures[text]
	if !ok {
		var err error
		if n, err = registry.ParseNature(text); err != nil {
			p.warn(WarnNature, colNature, text, "unknown entity nature", "the nature was left unknown")
			return
		}
		if p.natures == nil {
			p.natures = map[string]registry.Nature{}
		}
		if len(p.natures) < maxInterned {
			p.natures[strings.Clone(text)] = n
		}
	}
	if n != registry.NatureUnknown {
		r.f.Entity.Nature = n
		r.states |= factNature
	}
}

// statusAliases are Chinese words for the states of a filing.
var statusAliases = map[string]registry.Status{
	"正常": registry.StatusNormal, "注销": registry.StatusCancelled, "已注销": registry.StatusCancelled,
}

// status reads the state of the filing and whether the authority restricts it.
func (p *parser) status(c *cells, r *row) *RowError {
	if text := c.value[colStatus]; text != "" {
		s, ok := statusAliases[text]
		if !ok {
			var err error
			if s, err = registry.ParseStatus(text); err != nil {
				return refuseFor(colStatus, text, err)
			}
		}
		r.f.Status = s
		r.states |= factStatus
	}
	var with bool
	if _, err := flag(c, colCancelledWithEntity, &with); err != nil {
		return err
	}
	if with {
		if r.states&factStatus != 0 && r.f.Status != registry.StatusCancelled {
			p.warn(WarnCancelled, colStatus, c.value[colStatus], "the filing was cancelled with its entity", "it was taken as cancelled")
		}
		r.f.Status = registry.StatusCancelled
		r.states |= factStatus
	}
	stated, err := flag(c, colRestricted, &r.f.Restricted)
	if stated {
		r.states |= factRestricted
	}
	return err
}

// flag reads a yes or no.
func flag(c *cells, col column, to *bool) (stated bool, _ *RowError) {
	switch text := c.value[col]; text {
	case "":
		return false, nil
	case "true", "TRUE", "True", "1", "yes", "是":
		*to = true
	case "false", "FALSE", "False", "0", "no", "否":
		*to = false
	default:
		return false, rowError(col, text, "is neither yes nor no", "expect true or false")
	}
	return true, nil
}

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
