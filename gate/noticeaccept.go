package gate

import (
	"iter"
	"strings"

	"github.com/icpgate/icpgate/registry/explain"
)

// noticeFormat is how a notice is written. The zero value is HTML.
type noticeFormat uint8

const (
	noticeHTML noticeFormat = iota
	noticeJSON
	noticeText
	noticeFormats
)

// Of a header that says what a client likes, only so much is read: browsers send
// some 130 bytes and ten elements. The rest counts for nothing.
const (
	maxAcceptBytes    = 1 << 10
	maxAcceptElements = 32
)

// How well a media range meets a format, RFC 9110 §12.5.1: by its name, by the
// type before the slash, or as everything does.
const (
	metByAll = 1 + iota
	metByType
	metByName
)

// preference is how much a client likes one format.
type preference struct{ q, met, at int }

// negotiateFormat chooses the format by an Accept header: the highest weight,
// then what is named over what a wildcard meets, then what stands first. HTML is
// for those who name it, which browsers do when they open a page, and for those
// who say nothing. A bare */* gets text: it is sent by terminals, and by browsers
// for what they put into a page. What accepts none of the three gets text too,
// which RFC 9110 allows and everybody can show.
func negotiateFormat(accept string) noticeFormat {
	if strings.TrimSpace(accept) == "" {
		return noticeHTML
	}
	var likes [noticeFormats]preference
	at := 0
	for media, q := range weighted(accept) {
		at++
		for f := range likes {
			if met := meets(media, noticeFormat(f)); met > likes[f].met {
				likes[f] = preference{q, met, at}
			}
		}
	}
	best := noticeText
	for _, f := range []noticeFormat{noticeHTML, noticeJSON} {
		if likes[f].q > 0 && likes[f].over(likes[best]) {
			best = f
		}
	}
	return best
}

// over reports whether p comes before o. Between two that a bare */* meets none
// does, and the earlier choice stays.
func (p preference) over(o preference) bool {
	switch {
	case p.q != o.q:
		return p.q > o.q
	case p.met != o.met:
		return p.met > o.met
	}
	return p.met >= metByType && p.at <= o.at
}

// meets tells how well a media range meets a format, 0 for not at all.
func meets(media string, f noticeFormat) int {
	name := [noticeFormats]string{"text/html", "application/json", "text/plain"}[f]
	major, _, _ := strings.Cut(name, "/")
	switch {
	case strings.EqualFold(media, name):
		return metByName
	case len(media) == len(major)+2 && strings.HasSuffix(media, "/*") && strings.EqualFold(media[:len(major)], major):
		return metByType
	case media == "*/*":
		return metByAll
	}
	return 0
}

// What a language weighs that has no weight above 0.
const (
	langRefused = -2 // weight 0
	langUnsaid  = -1
	langBetter  = 0 // English, for readers of other languages
)

// negotiateLang chooses the language by an Accept-Language header: Chinese, or
// English where it weighs more, or the same and stands first. Who names other
// languages but not Chinese reads English more likely.
func negotiateLang(header string) explain.Lang {
	zh, en, star := langUnsaid, langUnsaid, langUnsaid
	enFirst, others := false, false
	for tag, q := range weighted(header) {
		switch primary, _, _ := strings.Cut(tag, "-"); {
		case strings.EqualFold(primary, "zh"):
			zh = heavier(zh, q)
		case strings.EqualFold(primary, "en"):
			enFirst = enFirst || zh == langUnsaid
			en = heavier(en, q)
		case primary == "*":
			star = heavier(star, q)
		default:
			others = others || q > 0
		}
	}
	othersOnly := others && zh == langUnsaid && en == langUnsaid
	zh, en = orElse(zh, star), orElse(en, star)
	if en == langUnsaid && others {
		en = langBetter
	}
	if en > zh || en == zh && (enFirst || othersOnly) {
		return explain.English
	}
	return explain.Chinese
}

// heavier returns the greater of a weight so far and another one.
func heavier(sofar, q int) int {
	if q == 0 {
		q = langRefused
	}
	if sofar == langUnsaid || q > sofar {
		return q
	}
	return sofar
}

// orElse is the weight of a language, or else that of all.
func orElse(q, star int) int {
	if q == langUnsaid {
		return star
	}
	return q
}

// weighted lists the elements of a header with their weights in thousandths,
// RFC 9110 §12.4.2. Elements that cannot be read are left out.
func weighted(header string) iter.Seq2[string, int] {
	if len(header) > maxAcceptBytes {
		header = header[:maxAcceptBytes]
		header = header[:strings.LastIndexByte(header, ',')+1]
	}
	return func(yield func(string, int) bool) {
		for n := 0; header != "" && n < maxAcceptElements; n++ {
			var element string
			element, header = cutUnquoted(header, ',')
			value, params := cutUnquoted(element, ';')
			value = strings.Trim(value, " \t")
			q, ok := weight(params)
			if ok && value != "" && !yield(value, q) {
				return
			}
		}
	}
}

// cutUnquoted cuts s at the first sep that stands in no quoted string.
func cutUnquoted(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && c == sep:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// weight finds the weight among the parameters of an element; 1000 if there is
// none.
func weight(params string) (q int, ok bool) {
	for params != "" {
		var p string
		p, params = cutUnquoted(params, ';')
		name, value, _ := strings.Cut(strings.Trim(p, " \t"), "=")
		if name == "q" || name == "Q" {
			return parseWeight(value)
		}
	}
	return 1000, true
}

// parseWeight reads 0.5 as 500. Some clients leave the 0 before the point out.
func parseWeight(s string) (q int, ok bool) {
	whole, decimals, _ := strings.Cut(s, ".")
	if whole == "" && decimals == "" || len(whole) > 1 || len(decimals) > 3 {
		return 0, false
	}
	for _, c := range []byte(whole + decimals) {
		if c < '0' || c > '9' {
			return 0, false
		}
		q = q*10 + int(c-'0')
	}
	for range 3 - len(decimals) {
		q *= 10
	}
	return q, q <= 1000
}
