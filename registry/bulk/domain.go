package bulk

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/icpgate/icpgate/registry"
)

// isSeparator reports whether r stands between several names of a cell. Spaces
// are the rule; the others are what people write.
func isSeparator(r rune) bool {
	return unicode.IsSpace(r) || isDirtySeparator(r)
}

func isDirtySeparator(r rune) bool {
	switch r {
	case ',', ';', '|', '、', '，', '；':
		return true
	}
	return false
}

// isOneName reports whether text is letters, digits, hyphens and dots alone, as
// nearly every cell is.
func isOneName(text string) bool {
	for i := range len(text) {
		c := text[i]
		if c|0x20 < 'a' && c != '-' && c != '.' && (c < '0' || c > '9') || c|0x20 > 'z' {
			return false
		}
	}
	return true
}

// domains reads the filed names.
func (p *parser) domains(c *cells, r *row) *RowError {
	if r.f.Site.Kind == registry.KindIP {
		return nil
	}
	text := c.value[colDomain]
	if text == "" {
		return p.homePage(c, r)
	}
	if isOneName(text) || strings.IndexFunc(text, isSeparator) < 0 {
		return p.domain(text, r)
	}
	if strings.IndexFunc(text, isDirtySeparator) >= 0 {
		p.warn(WarnDomainSpelling, colDomain, text, "domains apart by another sign than a space", "read as several domains")
	}
	names := strings.FieldsFunc(text, isSeparator)
	if len(names) > maxDomains {
		return rowError(colDomain, text, "lists more than 500 domains", "look for a line end that is missing")
	}
	for _, name := range names {
		if err := p.domain(name, r); err != nil {
			return err
		}
	}
	return nil
}

// domain reads one name of the column domain.
func (p *parser) domain(text string, r *row) *RowError {
	if strings.Contains(text, "/") {
		return p.url(colDomain, text, r)
	}
	d, err := registry.ParseDomain(text)
	if err != nil {
		return domainError(colDomain, text, err)
	}
	if strings.Contains(text, ":") {
		p.warn(WarnDomainSpelling, colDomain, text, "a port behind the domain", "read as "+d.String())
	}
	p.addDomain(d, r)
	return nil
}

// domainError refuses a name, with a hint for the mistakes that people make.
func domainError(col column, text string, err error) *RowError {
	e := refuseFor(col, text, err)
	_, noAddr := netip.ParseAddr(text)
	switch {
	case noAddr == nil:
		e.Reason, e.Hint = "is an address, not a domain", "give it the kind ip if the address was filed"
	case strings.HasPrefix(text, "*."):
		e.Hint = "write " + cutText(text[2:], maxValue) + "; a filing covers what is below its domain"
	case strings.Contains(text, "@"):
		e.Hint = "expect a domain, not a mail address"
	case e.Hint == "":
		e.Hint = "expect a domain such as example.com"
	}
	return e
}

// addDomain appends d unless the row has it. A filing under www.example.com
// covers nothing but www: hardly ever what was filed.
func (p *parser) addDomain(d registry.Domain, r *row) {
	if slices.Contains(r.f.Site.Domains, d) {
		return
	}
	if d.First() == "www" {
		if up, ok := d.Registrable(); ok && up == d.Parent() {
			p.warn(WarnWWW, colDomain, d.String(), "covers only names at and below itself", "if "+up.String()+" was filed, write that")
		}
	}
	r.f.Site.Domains = append(r.f.Site.Domains, d)
	r.states |= factDomains
}

// homePage takes the domain from the column of the home page, for tables
// without a column for the domain.
func (p *parser) homePage(c *cells, r *row) *RowError {
	pages := strings.FieldsFunc(c.value[colHomePage], isSeparator)
	if len(pages) > maxDomains {
		return rowError(colHomePage, c.value[colHomePage], "lists more than 500 pages", "look for a line end that is missing")
	}
	for _, text := range pages {
		if err := p.url(colHomePage, text, r); err != nil {
			return err
		}
	}
	return nil
}

// url takes the filed domain from a URL: the registrable domain of its host, or
// under a government suffix, where every unit files for itself, the host
// without "www".
func (p *parser) url(col column, text string, r *row) *RowError {
	d, err := registry.ParseDomain(urlHost(text))
	if err != nil {
		return domainError(col, text, err)
	}
	filed, ok := d.Registrable()
	if !ok {
		return refuseFor(col, text, d.Fileable())
	}
	if d.IsGov() {
		if filed = d; d.First() == "www" && d.Parent().IsGov() {
			filed = d.Parent()
		}
	}
	p.warn(WarnHomePage, col, text, "a URL in place of the filed domain", "read as "+filed.String())
	p.addDomain(filed, r)
	return nil
}

// urlHost cuts scheme, user, path, query and fragment from a URL.
func urlHost(s string) string {
	if i := strings.Index(s, "://"); i >= 0 {
		s = s[i+3:]
	}
	if i := strings.IndexAny(s, "/?#\\"); i >= 0 {
		s = s[:i]
	}
	return s[strings.LastIndexByte(s, '@')+1:]
}

// provinceNames are the Chinese names of the provinces, without what may follow
// (省, 市, 自治区 …), by the letter of the numbers. Source: GB/T 2260.
var provinceNames = map[string]string{
	"京": "北京", "津": "天津", "冀": "河北", "晋": "山西", "蒙": "内蒙古", "辽": "辽宁", "吉": "吉林", "黑": "黑龙江", "沪": "上海",
	"苏": "江苏", "浙": "浙江", "皖": "安徽", "闽": "福建", "赣": "江西", "鲁": "山东", "豫": "河南", "鄂": "湖北", "湘": "湖南",
	"粤": "广东", "桂": "广西", "琼": "海南", "渝": "重庆", "蜀": "四川", "黔": "贵州", "滇": "云南", "藏": "西藏", "陕": "陕西",
	"陇": "甘肃", "青": "青海", "宁": "宁夏", "新": "新疆",
}

// letterAliases are the other letters of provinces.
var letterAliases = map[string]string{"川": "蜀", "甘": "陇", "贵": "黔", "云": "滇", "秦": "陕"}

// province compares the column with the province of the number; nothing else is
// done with it.
func (p *parser) province(c *cells, r *row) {
	text := c.value[colProvince]
	if text == "" {
		return
	}
	letter, ok := provinceLetter(text)
	if !ok {
		p.warn(WarnProvince, colProvince, text, "unknown province", "expect a name such as 北京 or Beijing, or the letter of a number")
		return
	}
	n := r.f.Site.Number
	if n.IsZero() {
		n = r.f.Entity.Number
	}
	if of := n.Province(); of != "" && of != letter {
		p.warn(WarnProvince, colProvince, text, "the number "+n.String()+" was given in "+registry.ProvinceName(of), "check which of them is right")
	}
}

func provinceLetter(text string) (string, bool) {
	if l, ok := letterAliases[text]; ok {
		return l, true
	}
	if _, ok := provinceNames[text]; ok {
		return text, true
	}
	for letter, name := range provinceNames {
		if strings.HasPrefix(text, name) || strings.EqualFold(text, registry.ProvinceName(letter)) {
			return letter, true
		}
	}
	return "", false
}
