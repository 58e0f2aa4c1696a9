package gate

import (
	"net/url"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// noticeRedirect is where clients are sent. The zero value is nowhere.
type noticeRedirect struct {
	host          string // of the target, in lower case
	before, after string // the target around the parameters
}

func newNoticeRedirect(target string) noticeRedirect {
	before, fragment, _ := strings.Cut(canonicalURL(target), "#")
	r := noticeRedirect{host: hostOfURL(before), after: fragment}
	if fragment != "" {
		r.after = "#" + fragment
	}
	switch {
	case !strings.Contains(before, "?"):
		before += "?"
	case !strings.HasSuffix(before, "?") && !strings.HasSuffix(before, "&"):
		before += "&"
	}
	r.before = before + "host="
	return r
}

func hostOfURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// RedirectURL is where a client that is blocked at a host, in canonical form, is
// sent; "" is nowhere. It is for whoever answers the client in the gate's place.
func (s *Notices) RedirectURL(host string, reason registry.Reason) string {
	if !s.redirect.leads(host) {
		return ""
	}
	return string(s.redirect.appendTo(nil, showable(host), reason))
}

// leads reports whether a client of that host is sent there.
func (r *noticeRedirect) leads(host string) bool { return r.before != "" && r.host != host }

// appendTo appends the URL that tells of a host and why it is blocked.
func (r *noticeRedirect) appendTo(b []byte, host string, reason registry.Reason) []byte {
	b = append(b, r.before...)
	b = append(b, url.QueryEscape(host)...)
	b = append(b, "&reason="...)
	b = append(b, reason.String()...)
	return append(b, r.after...)
}
