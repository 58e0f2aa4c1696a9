package bulk

import (
	"slices"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// filingKeys are the keys of a filing object that are not named as their column.
var filingKeys = map[string]column{
	"domains": colDomain, "entity": colEntityName, "nature": colNature,
}

// filing reads a filing object of the JSON lines form into c.
func (c *cells) filing(object jsonValue) *RowError {
	c.reset()
	seen := map[string]bool{}
	return eachMember(object, func(key string, v jsonValue) *RowError {
		switch key {
		case "accesses":
			return c.accessList(v)
		case "domain", "domains":
			return c.names(key, v, seen)
		case "covers":
			return c.list(colCovers, v)
		}
		col := filingColumn(key)
		if col == noColumn {
			return rowError(noColumn, "", "unknown key \""+cutText(key, maxValue)+"\"", "expect those of the package's documentation")
		}
		return c.scalar(col, v)
	})
}

// names takes "domain" or "domains". Both may stand in one object: the domain
// that is meant, and all those of an old site or the others.
func (c *cells) names(key string, v jsonValue, seen map[string]bool) *RowError {
	if seen[key] {
		return c.list(colDomain, v)
	}
	seen[key] = true
	all := strings.Fields(c.value[colDomain])
	c.value[colDomain] = ""
	if err := c.list(colDomain, v); err != nil {
		return err
	}
	for name := range strings.FieldsSeq(c.value[colDomain]) {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	c.value[colDomain] = strings.Join(all, " ")
	return nil
}

func filingColumn(key string) column {
	if col, ok := filingKeys[key]; ok {
		return col
	}
	if i := slices.Index(columnWords[1:colHomePage], key); i >= 0 {
		return column(i + 1)
	}
	return noColumn
}

// accessList reads "accesses"; null is absent, so unknown.
func (c *cells) accessList(v jsonValue) *RowError {
	switch {
	case v.kind() == 'n':
		return nil
	case v.kind() != '[':
		return rowError(colProvider, string(v), "accesses is no list", `expect [{"provider": …, "status": …}]`)
	case c.listed:
		return rowError(colProvider, "", "accesses is given twice", "give it once")
	}
	c.listed = true
	return eachElement(v, func(e jsonValue) *RowError {
		if e.kind() != '{' {
			return rowError(colProvider, string(e), "is no access", `expect {"provider": …, "status": …}`)
		}
		var one cells
		if err := eachMember(e, one.accessMember); err != nil {
			return err
		}
		c.accesses = append(c.accesses, accessCells{one.value[colProvider], one.value[colAccessStatus], one.value[colAccessedAt]})
		return nil
	})
}

func (c *cells) accessMember(key string, v jsonValue) *RowError {
	col := map[string]column{"provider": colProvider, "status": colAccessStatus, "accessed_at": colAccessedAt}[key]
	if col == noColumn {
		return rowError(colProvider, key, "unknown key in an access", "expect provider, status, accessed_at")
	}
	return c.scalar(col, v)
}

// ParseFilingJSON reads one filing object of the JSON lines form. The error is a
// *RowError. The filing passes Check.
func ParseFilingJSON(line []byte) (registry.Filing, []Warning, error) {
	var (
		c cells
		p parser
		r row
	)
	if err := checkObject(line); err != nil {
		return registry.Filing{}, nil, err
	}
	if err := c.filing(line); err != nil {
		return registry.Filing{}, nil, err
	}
	if err := p.row(&c, &r); err != nil {
		return registry.Filing{}, nil, err
	}
	if w, ok := undated(&r.f); ok {
		p.warnings = append(p.warnings, w)
	}
	return r.f, p.warnings, nil
}

// undated warns of several domains without a day of filing: only sites from
// before 2019-04-22 may have them.
func undated(f *registry.Filing) (Warning, bool) {
	if len(f.Site.Domains) < 2 || !f.Site.FiledAt.IsZero() {
		return Warning{}, false
	}
	e := rowError(colDomain, domainText(f.Site.Domains), "several domains, and no day of filing",
		"only sites filed before 2019-04-22 may have them; give filed_at")
	return Warning{WarnSeveralDomains, e.Problem}, true
}
