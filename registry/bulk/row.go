package bulk

import (
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
	days      map[string]time.Time // YYYY-MM-DD: a registry has few thousand days
}

func (p *parser) warn(k WarningKind, c column, value, reason, hint string) {
	p.warnings = append(p.warnings, Warning{k, rowError(c, value, reason, hint).Problem})
}

// row reads c into r. On an error r is of no use.
func (p *parser) row(c *cells, r *row) *RowError {
	r.reset()
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
