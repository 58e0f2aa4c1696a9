package explain

import (
	"net/netip"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Facts are what a verdict was made of.
type Facts struct {
	Query    registry.Query
	Verdict  registry.Verdict
	Coverage registry.Coverage
	// Filings tell more of Coverage.Filings, in the same order. Optional: without
	// them the explanation knows no numbers and entities.
	Filings []Filing
	Assumed []Assumption
	// Lack is why the verdict is undecided, if it is.
	Lack registry.Lack
	// Others: the same message holds addresses that pass, so that blocked ones may
	// be withheld alone.
	Others bool
}

// Filing is what people want to know of a filing that reaches the host. The zero
// value is a filing of which nothing is known.
type Filing struct {
	Domain        registry.Domain
	Addr          netip.Addr
	Number        registry.Number
	EntityNumber  registry.Number
	EntityName    string
	SiteName      string
	Kind          registry.Kind
	Status        registry.Status
	Restricted    bool
	FiledAt       time.Time
	UpdatedAt     time.Time
	Accesses      []registry.Access
	AccessesKnown bool
}

// Explanation is a verdict in words. It is made for JSON; WriteText prints it.
type Explanation struct {
	Lang       Lang              `json:"lang"`
	Host       string            `json:"host"`
	Unicode    string            `json:"host_unicode,omitempty"` // only where it differs from Host
	Verdict    string            `json:"verdict"`
	Effect     Words             `json:"effect"` // what the edge does
	Reason     registry.Reason   `json:"reason"`
	Page       *Words            `json:"page,omitempty"` // only for a block
	Title      string            `json:"title"`
	Rule       string            `json:"rule"`
	Reference  string            `json:"reference"`
	Policy     *Words            `json:"policy,omitempty"` // the knob that the verdict turned on
	Filed      string            `json:"filed,omitempty"`  // the filed name that decided
	Filings    []FilingFacts     `json:"filings"`
	Advisories []AdvisoryFacts   `json:"advisories"`
	Next       Next              `json:"next"`
	Assumed    []Words           `json:"assumed"`
	Query      QueryFacts        `json:"query"`
	Revision   registry.Revision `json:"revision"`
	Loaded     bool              `json:"loaded"`
	Lack       registry.Lack     `json:"lack,omitempty"` // why the verdict is undecided
}

// Words are a word of the rule book and what it means here.
type Words struct {
	Word string `json:"word"`
	Text string `json:"text"`
}

// Next is what to do next, for the site's owner and for the provider's staff.
type Next struct {
	Owner []string `json:"owner"`
	Staff []string `json:"staff"`
}

// AdvisoryFacts is one advisory in words.
type AdvisoryFacts struct {
	Advisory  registry.Advisory `json:"advisory"`
	Title     string            `json:"title"`
	Rule      string            `json:"rule"`
	Reference string            `json:"reference"`
}

// QueryFacts are the parts of a query that the verdict could depend on.
type QueryFacts struct {
	Channel         string                `json:"channel"`
	Place           registry.Place        `json:"place"`
	Provider        registry.ProviderID   `json:"provider"`
	AddressProvider registry.ProviderID   `json:"address_provider"`
	Product         registry.Product      `json:"product"`
	Acceleration    registry.Acceleration `json:"acceleration"`
	Origin          registry.Origin       `json:"origin"`
	OriginPull      bool                  `json:"origin_pull,omitempty"`
}

// Explain puts the facts into words.
func Explain(l Lang, f Facts) Explanation {
	q, v := f.Query, f.Verdict
	names := names(l, f)
	text, ref := ReasonText(l, v.Reason)
	if v.Reason == registry.Undecided {
		text, ref = LackText(l, f.Lack)
	}
	text = text.fill(names)
	e := Explanation{
		Lang: l, Host: q.Host.String(), Unicode: unicode(q.Host.Name),
		Verdict: v.String(), Effect: effect(l, q.Policy.EffectOf(v, f.Others)),
		Reason: v.Reason, Page: page(l, v), Title: text.Title, Rule: text.Rule, Reference: ref,
		Policy: policy(l, q.Policy, v, f.Lack), Filed: filed(f), Filings: filings(f),
		Next:  Next{Owner: []string{}, Staff: []string{}},
		Query: queryFacts(q), Revision: f.Coverage.Revision, Loaded: f.Coverage.Loaded, Lack: f.Lack,
	}
	if !superseded(v.Advisories) {
		e.Next.add(text)
	}
	e.Advisories = []AdvisoryFacts{}
	for _, a := range v.Advisories.Slice() {
		text, ref := AdvisoryText(l, a)
		text = text.fill(names)
		e.Advisories = append(e.Advisories, AdvisoryFacts{a, text.Title, text.Rule, ref})
		e.Next.add(text)
	}
	e.Assumed = []Words{}
	for _, a := range f.Assumed {
		e.Assumed = append(e.Assumed, Words{a.String(), names.fill(assumptions[a].text[l%langCount].Rule)})
	}
	return e
}

// superseded reports whether an advisory makes the next steps of the reason
// itself wrong: an order is under way already, or can never be made.
func superseded(s registry.Advisories) bool {
	return s.Has(registry.PendingReview) || s.Has(registry.TLDNotFileable)
}

func (n *Next) add(t Text) {
	if t.Owner != "" {
		n.Owner = append(n.Owner, t.Owner)
	}
	if t.Staff != "" {
		n.Staff = append(n.Staff, t.Staff)
	}
}

// names are what stands for the places in a text.
func names(l Lang, f Facts) places {
	host := f.Query.Host.String()
	registrable := host
	if d, ok := f.Query.Host.Name.Registrable(); ok {
		registrable = d.String()
	}
	name := filed(f)
	if name == "" {
		name = registrable
	}
	p := places{"{host}", host, "{registrable}", registrable, "{filed}", name}
	if f.Query.Provider == "" {
		return append(p, nobody[l%langCount]...)
	}
	return append(p, "{provider}", string(f.Query.Provider))
}

// places are what stands in texts, each followed by what is put there, which holds
// no place itself. A strings.Replacer would cost more to make than to use once.
type places []string

// fill returns s with all places filled.
func (p places) fill(s string) string {
	for i := 0; i < len(p) && strings.Contains(s, "{"); i += 2 {
		s = strings.ReplaceAll(s, p[i], p[i+1])
	}
	return s
}

// nobody stands for the provider where there is none. The Chinese texts say
// "provider" before its name, which then goes with the spaces around it.
var nobody = [langCount][]string{
	English: {"{provider}", "the provider"},
	Chinese: {" {provider} ", "", " {provider}", ""},
}

// filed is the name or address under which the deciding filing was made.
func filed(f Facts) string {
	h := f.Query.Host
	switch {
	case f.Verdict.Filed > 0:
		return h.Name.Last(int(f.Verdict.Filed)).String()
	case h.Kind() == registry.AddrHost && len(f.Coverage.Filings) > 0:
		return h.Addr.String()
	}
	return ""
}

// unicode is the readable form of a name, where it differs.
func unicode(d registry.Domain) string {
	if u := d.Unicode(); u != d.String() {
		return u
	}
	return ""
}

func page(l Lang, v registry.Verdict) *Words {
	if !v.Block {
		return nil
	}
	text, _ := PageText(l, v.Page())
	return &Words{v.Page().String(), text.Rule}
}

func effect(l Lang, e registry.Effect) Words {
	text, _ := EffectText(l, e)
	return Words{e.String(), text.Rule}
}

// policy tells which knob the verdict turned on, the mode where it settles the
// effect.
func policy(l Lang, p registry.Policy, v registry.Verdict, lack registry.Lack) *Words {
	knob := knobOf(v)
	if lack == registry.LackFreshness {
		value, text := staleKnob(l, p.Fail)
		return &Words{"max-stale " + value, text}
	}
	if knob == "" && v.Block && p.Mode == registry.Monitor {
		knob = "mode"
	}
	if knob == "" {
		return nil
	}
	value := knobValue(p, knob)
	text, _ := KnobText(l, knob, value)
	return &Words{knob + " " + value, text.Rule}
}

func queryFacts(q registry.Query) QueryFacts {
	return QueryFacts{q.Channel.String(), q.Place, q.Provider, q.AddressProvider, q.Product, q.Acceleration, q.Origin, q.OriginPull}
}
