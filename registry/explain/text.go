package explain

import (
	"github.com/icpgate/icpgate/registry"
)

// Text is what one word of the rule book means, in one language. The zero value
// says nothing.
type Text struct {
	Title string // a few words
	Rule  string // a sentence: which rule this is
	Owner string // what the site's owner does next; empty where nothing is to be done
	Staff string // what the provider's staff do next; empty where nothing is to be done
}

// entry is a Text in all languages with the reference of the rule.
type entry struct {
	ref  string
	text [langCount]Text
}

// ReasonText returns what a reason means, and the reference of its rule. Places
// for a query's names stand in it as {host}, {filed}, {registrable} and
// {provider}; Explain fills them.
func ReasonText(l Lang, r registry.Reason) (Text, string) {
	e := reasons[r]
	return e.text[l%langCount], e.ref
}

// AdvisoryText is ReasonText for an advisory.
func AdvisoryText(l Lang, a registry.Advisory) (Text, string) {
	e := advisories[a]
	return e.text[l%langCount], e.ref
}

// PageText is ReasonText for the notice that a blocked client is shown.
func PageText(l Lang, p registry.Page) (Text, string) {
	e := pages[p]
	return e.text[l%langCount], e.ref
}

// EffectText is ReasonText for what an edge does with a verdict.
func EffectText(l Lang, e registry.Effect) (Text, string) {
	x := effects[e]
	return x.text[l%langCount], x.ref
}

// KnobText says what a value of a policy knob means, for example "ip-literal"
// and "filed-only"; the zero Text where there is no such value.
func KnobText(l Lang, knob, value string) (Text, string) {
	e := knobs[knob+" "+value]
	return e.text[l%langCount], e.ref
}

// fill puts a query's names into the places of a text.
func (t Text) fill(p places) Text {
	return Text{p.fill(t.Title), p.fill(t.Rule), p.fill(t.Owner), p.fill(t.Staff)}
}
