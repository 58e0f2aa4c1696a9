package edge

import (
	"strconv"
	"strings"

	"github.com/icpgate/icpgate/registry/explain"
)

// The forms of an answer.
const (
	formText = "text/plain"
	formJSON = "application/json"
	formCSV  = "text/csv"
)

// preferred reads a header such as Accept: what it names, and how much it is
// liked (RFC 9110 §12.4.2). What cannot be read counts as not named.
func preferred(headers []string, f func(name string, q float64)) {
	for _, h := range headers {
		for part := range strings.SplitSeq(h, ",") {
			name, params, _ := strings.Cut(part, ";")
			q := 1.0
			for p := range strings.SplitSeq(params, ";") {
				if v, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
					var err error
					if q, err = strconv.ParseFloat(v, 64); err != nil {
						q = 0
					}
				}
			}
			if q > 0 {
				f(strings.ToLower(strings.TrimSpace(name)), q)
			}
		}
	}
}

// accepted returns the form that the headers like best; the first for those who
// like all alike, name none or none of these.
func accepted(headers []string, forms ...string) string {
	best, most := forms[0], 0.0
	for i, form := range forms {
		family, _, _ := strings.Cut(form, "/")
		preferred(headers, func(name string, q float64) {
			named := name == form || name == family+"/*" || i == 0 && name == "*/*"
			if named && q > most {
				best, most = form, q
			}
		})
	}
	return best
}

// spoken returns the language that the headers like best of those there are.
func spoken(headers []string) explain.Lang {
	best, most := explain.English, 0.0
	preferred(headers, func(name string, q float64) {
		if l, err := explain.ParseLang(name); err == nil && q > most {
			best, most = l, q
		}
	})
	return best
}
