package bulk

import (
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// china is the zone of dates without one. There has been no summer time since
// 1991, before any filing.
var china = time.FixedZone("CST", 8*3600)

// dateForms are the spellings of a day or moment; the dirty ones are a
// spreadsheet's.
var dateForms = []struct {
	layout string
	dirty  bool
}{
	{time.DateOnly, false},
	{time.DateTime, false},
	{time.RFC3339, false},
	{"2006-1-2", true},
	{"2006-1-2 15:04", true},
	{"2006-1-2 15:04:05", true},
	{"2006-01-02T15:04:05", true},
	{"2006/1/2", true},
	{"2006/1/2 15:04", true},
	{"2006/1/2 15:04:05", true},
	{"2006.1.2", true},
	{"2006年1月2日", true},
	{"20060102", true},
}

// exactForms is how many of the forms, from the first, have a fixed length.
const exactForms = 2

// noDates are what databases write for an unknown day.
var noDates = []string{"0000-00-00", "0001-01-01", "1900-01-01", "1970-01-01"}

// times reads the days of filing and update.
func (p *parser) times(c *cells, r *row) (err *RowError) {
	if r.f.Site.FiledAt, err = p.date(colFiledAt, c.value[colFiledAt]); err != nil {
		return err
	}
	if !r.f.Site.FiledAt.IsZero() {
		r.states |= factFiledAt
	}
	r.f.UpdatedAt, err = p.date(colUpdatedAt, c.value[colUpdatedAt])
	return err
}

// date reads a day or moment in whole seconds; the zero time for an empty text.
func (p *parser) date(col column, text string) (time.Time, *RowError) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, ok := p.days[text]; ok {
		return t, nil
	}
	for _, no := range noDates {
		if strings.HasPrefix(text, no) {
			p.warn(WarnDate, col, text, "stands for an unknown day", "it was left unknown")
			return time.Time{}, nil
		}
	}
	for i, form := range dateForms {
		if i < exactForms && len(text) != len(form.layout) {
			continue
		}
		t, err := time.ParseInLocation(form.layout, text, china)
		if err != nil {
			continue
		}
		if form.dirty {
			p.warn(WarnDate, col, text, "unusual spelling of a day", "read as "+t.Format(time.RFC3339))
		}
		t = t.In(china).Truncate(time.Second)
		if s := t.Unix(); s < registry.FirstTime || s > registry.LastTime {
			return time.Time{}, rowError(col, text, "is of no year from 0 to 9999 everywhere on earth", "expect a day until 9999-12-31; leave it empty where it is not known")
		}
		switch {
		case !p.now.IsZero() && t.After(p.now.Add(24*time.Hour)):
			p.warn(WarnDate, col, text, "is in the future", "check it: as updated_at it outdoes every other row")
		case form.layout == time.DateOnly:
			p.remember(text, t)
		}
		return t, nil
	}
	return time.Time{}, rowError(col, text, "is no day that exists", "expect YYYY-MM-DD or RFC 3339, such as 2024-05-31T08:00:00+08:00")
}

// maxDays is more days than there have been since filings began.
const maxDays = 1 << 14

func (p *parser) remember(text string, day time.Time) {
	if p.days == nil {
		p.days = map[string]time.Time{}
	}
	if len(p.days) < maxDays {
		p.days[strings.Clone(text)] = day
	}
}
