package gate

import (
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/icpgate/icpgate/registry"
)

// NoticeConfig says what the notice for blocked clients looks like. The zero
// value is the built-in page with status 403, without links and contact.
type NoticeConfig struct {
	// Status is that of a notice: 403 or 451 (RFC 7725). Default 403.
	Status int
	// BlockedBy is the URL of whoever blocks, for the Link header that goes with
	// status 451; with 403 it is not used. Optional.
	BlockedBy string
	// Redirect is where clients are sent by a 302, with the host and the reason
	// added as query parameters; all else of the target is as it stands here. A
	// client that is blocked at that very host gets the page in place of a loop.
	// Optional.
	Redirect string
	// Contact is whom a site's owner can ask. Optional.
	Contact NoticeContact
	// FilingURL is the provider's entrance to the filing system, shown where a
	// filing is missing. Optional.
	FilingURL string
	// AccessURL is the provider's access procedure, shown where an access is
	// missing. Optional.
	AccessURL string
	// Provider is the provider's name as people know it. Optional.
	Provider string
	// TemplateFile holds the operator's own page, in the syntax of html/template:
	// one {{define}} for each notice, with more for their parts as you like. The
	// first of these names that is defined is used, else the built-in page:
	//
	//	KIND.LANG   unfiled.zh, unfiled.en, not-accessed.zh, other.zh, undecided.en …
	//	KIND        unfiled, not-accessed, other, undecided
	//	page.LANG   page.zh, page.en
	//	page
	//
	// All that a page may show, already in its language:
	//
	//	.Lang                        zh-CN or en, for <html lang>
	//	.Kind                        unfiled, not-accessed, other or undecided
	//	.Heading                     the notice in one line
	//	.OtherLang, .OtherHeading    the same line in the other language
	//	.Host                        the host as judged
	//	.Unicode                     its readable form, only where it differs
	//	.Reason                      the reason's word, such as not-accessed
	//	.ReasonTitle, .ReasonText    the reason in a few words, and in a sentence
	//	.Notes                       a list; each has .Word, .Title and .Text
	//	.Steps                       a list: what the site's owner can do, or the visitor
	//	.FilingURL, .AccessURL       only where such a link helps
	//	.Contact                     .Text, .URL, .Mail; the whole is empty if none is set
	//	.Provider                    as configured
	//	.RequestID, .Time            the request's number; RFC 3339, at +08:00
	//	.Labels                      .Host .Reason .Steps .Filing .Access .Contact
	//	                             .RequestID .Time .Colon: the words of the built-in page
	//
	// Everything is escaped. Scripts, forms and whatever would be loaded from
	// elsewhere do not work: the Content-Security-Policy allows styles within the
	// page and images as data: URLs. A page of one's own costs some 30 µs more
	// than the built-in one. If it fails on an answer, the built-in page is sent.
	TemplateFile string
}

// NoticeContact is whom a site's owner can ask. Every field is optional.
type NoticeContact struct {
	Text string // for example a telephone number with its hours
	URL  string
	Mail string // an address without a name
}

// Notice is one answer to a blocked client.
type Notice struct {
	// Host is what was judged, in canonical form; "" is none. It comes from the
	// client and may hold anything.
	Host    string
	Verdict registry.Verdict
	// RequestID is what the client and the log name the request by.
	RequestID string
	// Time is when the request was judged; the zero Time is left out of Date.
	Time time.Time
	// Accept and Language are the values of Accept and Accept-Language, "" if the
	// request has none.
	Accept, Language string
	// Head: the request's method is HEAD, so that the answer has no body.
	Head bool
	// Stays: the connection goes on behind the answer, for HTTP/1.1.
	Stays bool
}

// Notices write the answers that the gate gives itself. The zero value writes
// those of the zero NoticeConfig. They may be used concurrently.
type Notices struct {
	cfg      NoticeConfig
	pages    noticePages
	link     string // the value of Link, "" for none
	redirect noticeRedirect

	answers atomic.Pointer[map[noticeKey]*noticeAnswer] // never changed, only replaced
	mu      sync.Mutex                                  // held to replace answers
}

// NewNotices checks the configuration, reads the template file and tries every
// notice once.
func NewNotices(cfg NoticeConfig) (*Notices, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("notice: %w", err)
	}
	s := &Notices{cfg: cfg}
	if cfg.Status == http.StatusUnavailableForLegalReasons && cfg.BlockedBy != "" {
		s.link = "<" + canonicalURL(cfg.BlockedBy) + `>; rel="blocked-by"`
	}
	if cfg.Redirect != "" {
		s.redirect = newNoticeRedirect(cfg.Redirect)
	}
	if cfg.TemplateFile != "" {
		var err error
		if s.pages, err = readNoticePages(cfg.TemplateFile); err != nil {
			return nil, err
		}
	}
	if err := s.tryAll(); err != nil {
		return nil, err
	}
	return s, nil
}

// check refuses what cannot be shown or sent.
func (c *NoticeConfig) check() error {
	if c.Status != 0 && c.Status != http.StatusForbidden && c.Status != http.StatusUnavailableForLegalReasons {
		return fmt.Errorf("status %d; expect 403 or 451", c.Status)
	}
	for _, u := range []struct{ what, value string }{
		{"blocked-by", c.BlockedBy}, {"redirect", c.Redirect}, {"filing URL", c.FilingURL},
		{"access URL", c.AccessURL}, {"contact URL", c.Contact.URL},
	} {
		if u.value != "" && !isNoticeURL(u.value) {
			return fmt.Errorf("%s %q; expect a URL such as https://www.example.com/icp", u.what, u.value)
		}
	}
	if m := c.Contact.Mail; m != "" {
		if a, err := mail.ParseAddress(m); err != nil || a.Address != m {
			return fmt.Errorf("contact mail %q; expect an address such as icp@example.com", m)
		}
	}
	for _, t := range []struct{ what, value string }{{"provider", c.Provider}, {"contact", c.Contact.Text}, {"contact mail", c.Contact.Mail}} {
		if i := strings.IndexFunc(t.value, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			return fmt.Errorf("%s %q holds a character that cannot be shown at byte %d; expect one line of text", t.what, t.value, i+1)
		}
	}
	return nil
}

// isNoticeURL reports whether s is an absolute web URL that gives away no
// password.
func isNoticeURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil
}

// canonicalURL escapes what may stand in a URL but not in a header.
func canonicalURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.String()
}
