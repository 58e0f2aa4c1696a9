package registry

import (
	"iter"
	"slices"
)

// Policy holds the answers to the questions that the documents leave open
// (rule book §3), as an operator decided them, and the settings of an edge. The
// zero value is the default of every knob. A Policy is a comparable value.
type Policy struct {
	Gov           GovPolicy
	IPLiteral     IPLiteralPolicy
	NoHost        NoHostPolicy
	PendingAccess PendingAccessPolicy
	Fail          FailPolicy

	// Mode and Mixed are no rules: they say what the edge does with a verdict.
	Mode  Mode
	Mixed MixedPolicy
}

// GovPolicy: does a unit's filing cover the names below it (A.gov.cn and
// B1.A.gov.cn)?
type GovPolicy uint8

// The values of `policy gov`.
const (
	GovStrict  GovPolicy = iota // no: every unit files for itself
	GovInherit                  // yes, as everywhere else
)

// IPLiteralPolicy: what of an address as host?
type IPLiteralPolicy uint8

// The values of `policy ip-literal`.
const (
	IPLiteralAllow IPLiteralPolicy = iota
	IPLiteralFiledOnly
	IPLiteralBlock
)

// NoHostPolicy: what of a request without Host, a handshake without SNI?
type NoHostPolicy uint8

// The values of `policy no-host`.
const (
	NoHostAllow NoHostPolicy = iota
	NoHostBlock
)

// PendingAccessPolicy: may a site be served while its access order is under
// review?
type PendingAccessPolicy uint8

// The values of `policy pending-access`.
const (
	PendingAccessBlock PendingAccessPolicy = iota
	PendingAccessAllow                     // from the provider's first review, for Grace
)

// FailPolicy: what while no registry is loaded?
type FailPolicy uint8

// The values of `fail`.
const (
	FailOpen FailPolicy = iota
	FailClosed
)

// Mode tells whether an edge acts on its verdicts or only counts them.
type Mode uint8

// The values of `mode`.
const (
	Enforce Mode = iota
	Monitor
)

// MixedPolicy: what of an answer with blocked and other addresses?
type MixedPolicy uint8

// The values of `mixed`.
const (
	MixedStrip MixedPolicy = iota // withhold the blocked ones
	MixedBlock                    // withhold all
)

var (
	govWords           = words{"strict", "inherit"}
	ipLiteralWords     = words{"allow", "filed-only", "block"}
	noHostWords        = words{"allow", "block"}
	pendingAccessWords = words{"block", "allow"}
	failWords          = words{"open", "closed"}
	modeWords          = words{"enforce", "monitor"}
	mixedWords         = words{"strip", "block"}
)

// String returns the word of p.
func (p GovPolicy) String() string { return govWords.of(uint8(p)) }

// String returns the word of p.
func (p IPLiteralPolicy) String() string { return ipLiteralWords.of(uint8(p)) }

// String returns the word of p.
func (p NoHostPolicy) String() string { return noHostWords.of(uint8(p)) }

// String returns the word of p.
func (p PendingAccessPolicy) String() string { return pendingAccessWords.of(uint8(p)) }

// String returns the word of p.
func (p FailPolicy) String() string { return failWords.of(uint8(p)) }

// String returns the word of m.
func (m Mode) String() string { return modeWords.of(uint8(m)) }

// String returns the word of p.
func (p MixedPolicy) String() string { return mixedWords.of(uint8(p)) }

// knobs are those of a Policy, in the order of the rule book.
var knobs = []struct {
	name   string
	values words // the default first
	set    func(p *Policy, value uint8)
}{
	{"gov", govWords, func(p *Policy, v uint8) { p.Gov = GovPolicy(v) }},
	{"ip-literal", ipLiteralWords, func(p *Policy, v uint8) { p.IPLiteral = IPLiteralPolicy(v) }},
	{"no-host", noHostWords, func(p *Policy, v uint8) { p.NoHost = NoHostPolicy(v) }},
	{"pending-access", pendingAccessWords, func(p *Policy, v uint8) { p.PendingAccess = PendingAccessPolicy(v) }},
	{"fail", failWords, func(p *Policy, v uint8) { p.Fail = FailPolicy(v) }},
	{"mode", modeWords, func(p *Policy, v uint8) { p.Mode = Mode(v) }},
	{"mixed", mixedWords, func(p *Policy, v uint8) { p.Mixed = MixedPolicy(v) }},
}

// Knobs goes through the knobs that Set knows, in the order of the rule book, each
// with its values, the default first.
func Knobs() iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for _, k := range knobs {
			if !yield(k.name, slices.Clone(k.values)) {
				return
			}
		}
	}
}

// Set gives knob the value of a word, for example Set("ip-literal", "block").
// An unknown knob or word is refused with the legal ones, and changes nothing.
func (p *Policy) Set(knob, word string) error {
	var names words
	for _, k := range knobs {
		if k.name != knob {
			names = append(names, k.name)
			continue
		}
		v, err := k.values.parse("value of "+knob, word)
		if err == nil {
			k.set(p, v)
		}
		return err
	}
	_, err := names.parse("policy", knob)
	return err
}

// Exemption is an operator's permission for a name (approved but not yet
// synchronised, no web service, …). The zero value is none.
type Exemption struct {
	Granted bool
	// Until is the Unix second at which it ends; 0 is never.
	Until int64
	// Authority: made on the authority's word, so that it also overrides
	// blacklisted and restricted.
	Authority bool
}

// Holds reports whether e is in force at now, in Unix seconds.
func (e Exemption) Holds(now int64) bool {
	return e.Granted && (e.Until == 0 || now < e.Until)
}
