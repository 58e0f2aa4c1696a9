package gate

import (
	"slices"
	"strings"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
)

// noticeView is what a template sees; NoticeConfig.TemplateFile documents it.
type noticeView struct {
	Lang, Kind, Heading       string
	OtherLang, OtherHeading   string
	Host, Unicode             string
	Reason                    string
	ReasonTitle, ReasonText   string
	Notes                     []noticeNote
	Steps                     []string
	FilingURL, AccessURL      string
	Contact                   *NoticeContact // nil if nothing of it is set
	Provider, RequestID, Time string
	Redirect                  string // where the client is sent, but for the parameters
	Labels                    *noticeLabels
}

// noticeNote is an advisory that concerns the site's owner.
type noticeNote struct{ Word, Title, Text string }

// noticePlace is one of the values that differ from answer to answer. Where it
// goes in a notice made beforehand stands its rune, which is of private use and
// thus in no text of ours and of the configuration.
type noticePlace uint8

const (
	placeHost noticePlace = iota
	placeUnicode
	placeRegistrable
	placeFiled
	placeRequestID
	placeTime
	noticePlaces
)

const firstPlace = '\ue000'

// noticeValues are what stands at the places.
type noticeValues [noticePlaces]string

// placeMarks are the runes of the places.
var placeMarks = func() (v noticeValues) {
	for i := range v {
		v[i] = string(firstPlace + rune(i))
	}
	return v
}()

// noticeSubject is what a notice says, but for the values.
type noticeSubject struct {
	lang       explain.Lang
	reason     registry.Reason
	advisories registry.Advisories
}

// page is the kind of the notice; a reason that has none is said as other.
func (n noticeSubject) page() registry.Page {
	if p := n.reason.Page(); p != registry.PageNone {
		return p
	}
	return registry.PageOther
}

// view puts a notice into words.
func (s *Notices) view(n noticeSubject, v *noticeValues) *noticeView {
	labels, other := noticeLabelsOf(n.lang), noticeLabelsOf(explain.English)
	if n.lang == explain.English {
		other = noticeLabelsOf(explain.Chinese)
	}
	names := s.names(n.lang, v)
	text, _ := explain.ReasonText(n.lang, n.reason)
	w := &noticeView{
		Lang: labels.tag, Kind: n.page().String(), Heading: labels.heading(n),
		OtherLang: other.tag, OtherHeading: other.heading(n),
		Host: v[placeHost], Unicode: v[placeUnicode], RequestID: v[placeRequestID], Time: v[placeTime],
		Reason: n.reason.String(), ReasonTitle: names.Replace(text.Title), ReasonText: names.Replace(text.Rule),
		Provider: s.cfg.Provider, Labels: labels.of(n),
	}
	if s.cfg.Contact != (NoticeContact{}) {
		w.Contact = &s.cfg.Contact
	}
	w.advise(n, names, text.Owner)
	s.linkFrom(w, n)
	return w
}

// advise adds what the site's owner can do. The step of the reason itself is
// wrong where an order is under way already, or can never be made.
func (w *noticeView) advise(n noticeSubject, names *strings.Replacer, step string) {
	if !n.advisories.Has(registry.PendingReview) && !n.advisories.Has(registry.TLDNotFileable) {
		w.addStep(names.Replace(step))
	}
	for _, a := range n.advisories.Slice() {
		text, _ := explain.AdvisoryText(n.lang, a)
		if text.Owner == "" {
			continue // it is for the staff, or says the reason again
		}
		w.Notes = append(w.Notes, noticeNote{a.String(), names.Replace(text.Title), names.Replace(text.Rule)})
		w.addStep(names.Replace(text.Owner))
	}
}

func (w *noticeView) addStep(s string) {
	if s != "" && !slices.Contains(w.Steps, s) {
		w.Steps = append(w.Steps, s)
	}
}

// linkFrom adds the links where they lead on. Addresses are filed at the
// authority, and what cannot be filed at all needs no entrance.
func (s *Notices) linkFrom(w *noticeView, n noticeSubject) {
	switch n.page() {
	case registry.PageUnfiled:
		if n.reason != registry.IPUnfiled && !n.advisories.Has(registry.TLDNotFileable) {
			w.FilingURL = s.cfg.FilingURL
		}
	case registry.PageNotAccessed:
		w.AccessURL = s.cfg.AccessURL
	}
}

// names are what stands for the places in the texts of explain.
func (s *Notices) names(l explain.Lang, v *noticeValues) *strings.Replacer {
	places := []string{"{host}", v[placeHost], "{registrable}", v[placeRegistrable], "{filed}", v[placeFiled]}
	switch {
	case s.cfg.Provider != "":
		places = append(places, "{provider}", s.cfg.Provider)
	case l == explain.Chinese:
		// The texts say "provider" before its name, which goes with its spaces.
		places = append(places, " {provider} ", "", " {provider}", "")
	default:
		places = append(places, "{provider}", "the provider")
	}
	return strings.NewReplacer(places...)
}
