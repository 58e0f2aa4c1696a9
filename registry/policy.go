package registry

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

// KnobNames lists the knobs that Set knows, in the order of the rule book.
func KnobNames() []string {
	return append([]string(nil), knobWords...)
}

var knobWords = words{"gov", "ip-literal", "no-host", "pending-access", "fail", "mode", "mixed"}

// Set gives knob the value of a word, for example Set("ip-literal", "block").
// An unknown knob or word is refused with the legal ones.
func (p *Policy) Set(knob, word string) error {
	k, err := knobWords.parse("policy", knob)
	if err != nil {
		return err
	}
	var i uint8
	switch knobWords[k] {
	case "gov":
		i, err = govWords.parse("value of gov", word)
		p.Gov = GovPolicy(i)
	case "ip-literal":
		i, err = ipLiteralWords.parse("value of ip-literal", word)
		p.IPLiteral = IPLiteralPolicy(i)
	case "no-host":
		i, err = noHostWords.parse("value of no-host", word)
		p.NoHost = NoHostPolicy(i)
	case "pending-access":
		i, err = pendingAccessWords.parse("value of pending-access", word)
		p.PendingAccess = PendingAccessPolicy(i)
	case "fail":
		i, err = failWords.parse("value of fail", word)
		p.Fail = FailPolicy(i)
	case "mode":
		i, err = modeWords.parse("value of mode", word)
		p.Mode = Mode(i)
	case "mixed":
		i, err = mixedWords.parse("value of mixed", word)
		p.Mixed = MixedPolicy(i)
	}
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
