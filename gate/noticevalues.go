package gate

import (
	"strings"
	"time"
	"unicode"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
)

// Lengths of what is shown: a name has at most 253 bytes (RFC 1035 §2.3.4), and
// request ids are ours and shorter.
const (
	maxNoticeHost      = 253
	maxNoticeRequestID = 64
)

// beijing is the time of the mainland.
var beijing = time.FixedZone("CST", 8*60*60)

// values are what n puts into the places that are wanted, for people to see.
func (n *Notice) values(want placeSet, l explain.Lang, f noticeFormat) (v noticeValues) {
	v[placeHost] = showable(n.Host)
	if want.has(placeUnicode) {
		v[placeUnicode] = readable(n.Host)
	}
	if want.has(placeRegistrable) || want.has(placeFiled) {
		v[placeRegistrable], v[placeFiled] = n.filedUnder(v[placeHost])
	}
	if want.has(placeTime) {
		v[placeTime] = n.Time.In(beijing).Format(time.RFC3339)
	}
	v[placeRequestID] = visible(n.RequestID)
	if n.Host == "" && f != noticeJSON {
		v[placeHost] = noticeLabelsOf(l).noHost
	}
	return v
}

// filedUnder returns the name that a filing would be made for, and the one that
// the deciding filing was made for; both are the host where there is no other.
func (n *Notice) filedUnder(host string) (registrable, filed string) {
	d, err := registry.ParseDomain(n.Host)
	if err != nil {
		return host, host
	}
	registrable = host
	if r, ok := d.Registrable(); ok {
		registrable = r.String()
	}
	if k := int(n.Verdict.Filed); k > 0 && k <= d.Labels() {
		return registrable, d.Last(k).String()
	}
	return registrable, registrable
}

// readable is the readable form of a host, "" where there is no other.
func readable(host string) string {
	if !strings.Contains(host, "xn--") {
		return ""
	}
	d, err := registry.ParseDomain(host)
	if err != nil {
		return ""
	}
	if u := d.Unicode(); u != host {
		return showable(u)
	}
	return ""
}

// showable returns a host as it may be shown anywhere, a terminal included:
// without characters that cannot be seen, or turn the direction of others, and
// not longer than a name can be. What is taken out leaves a mark.
func showable(s string) string {
	if len(s) <= maxNoticeHost && isVisible(s) {
		return s
	}
	if len(s) > maxNoticeHost {
		s = strings.ToValidUTF8(s[:maxNoticeHost], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// visible returns s as it may stand in a header.
func visible(s string) string {
	s = s[:min(len(s), maxNoticeRequestID)]
	if isVisible(s) {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if c <= ' ' || c >= 0x7f {
			b[i] = '_'
		}
	}
	return string(b)
}

// isVisible reports whether all of s is visible ASCII.
func isVisible(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
