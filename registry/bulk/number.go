package bulk

import (
	"strings"

	"github.com/icpgate/icpgate/registry"
)

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
