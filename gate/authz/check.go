package authz

import (
	"net/netip"
	"unicode/utf8"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
)

// Bounds of one request for checks.
const (
	// MaxChecks is how many hosts a request may ask about: some milliseconds of
	// work, and an answer below half a megabyte.
	MaxChecks = 1000
	// MaxBody is how many bytes they may take: MaxChecks names of the greatest
	// length, each with an address and a product, and blanks.
	MaxBody = 1 << 20
)

// Check is what a program asks: how is this host judged?
type Check struct {
	// Host is a name or an address with an optional port; "" is no host.
	Host string
	// Addr is the address at which it is judged. Not valid: where the listener
	// stands.
	Addr netip.Addr
	// Product is what answers there. Unknown: what the data say.
	Product registry.Product
}

// Question returns c as a proxy would ask it, but for the address. Programs may
// write names as people do; requests may not.
func (c Check) Question() (q Question) {
	q.Channel = registry.ChannelHTTP
	if isASCII(c.Host) {
		q.ReadAuthority(c.Host)
		return q
	}
	d, err := registry.ParseDomain(c.Host)
	if q.Host.Name = d; err != nil {
		q.Cause = sniff.BadHost
	}
	return q
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Tell is what a program is told. Unlike a verdict it has a third value.
type Tell string

// The values of Tell.
const (
	TellPass  Tell = "pass"
	TellBlock Tell = "block"
	// CannotTell: no registry is loaded, or no source knows where the address is. A
	// gate passes or blocks then as Verdict says, but not since it knows.
	CannotTell Tell = "cannot-tell"
)

// CannotDecide reports whether a reason is none to pass or to block, but that what a
// verdict needs is not known.
func CannotDecide(r registry.Reason) bool {
	return r == registry.Undecided || r == registry.LocationUnknown
}

// Tells are all.
var Tells = []Tell{TellPass, TellBlock, CannotTell}

// Checked is the answer to a Check. It is made for JSON.
type Checked struct {
	// Host is the canonical form; as it was asked where there is none.
	Host string `json:"host"`
	Addr string `json:"addr,omitempty"` // that was told

	Answer     Tell                `json:"answer"`
	Verdict    string              `json:"verdict"` // what a gate would do
	Reason     registry.Reason     `json:"reason"`
	Title      string              `json:"title"` // the reason in a few words
	Advisories []registry.Advisory `json:"advisories"`
	// Filing is the one that the verdict rests on; null if there is none.
	Filing   *Filing           `json:"filing"`
	Revision registry.Revision `json:"revision"`
}

// Filing is what is told of a filing.
type Filing struct {
	Name   string          `json:"name"` // that it is made for, or address
	Number string          `json:"number,omitempty"`
	Kind   registry.Kind   `json:"kind"`
	Status registry.Status `json:"status"`
}

// NewChecked makes the answer of an explanation.
func NewChecked(c Check, e explain.Explanation) Checked {
	x := Checked{
		Host: e.Host, Answer: Tell(e.Verdict), Verdict: e.Verdict, Reason: e.Reason, Title: e.Title,
		Advisories: make([]registry.Advisory, 0, len(e.Advisories)), Revision: e.Revision,
	}
	if c.Addr.IsValid() {
		x.Addr = c.Addr.String()
	}
	if CannotDecide(e.Reason) {
		x.Answer = CannotTell
	}
	for _, a := range e.Advisories {
		x.Advisories = append(x.Advisories, a.Advisory)
	}
	for _, f := range e.Filings {
		if f.Decides {
			x.Filing = &Filing{Name: f.Filed, Number: f.Number, Kind: f.Kind, Status: f.Status}
			break
		}
	}
	return x
}

// NewMalformed makes the answer for a host that cannot be read in one way, which
// every gate refuses.
func NewMalformed(c Check, rev registry.Revision) Checked {
	text, _ := explain.ReasonText(explain.English, registry.Malformed)
	x := Checked{
		Host: c.Host, Answer: TellBlock, Verdict: "block", Reason: registry.Malformed, Title: text.Title,
		Advisories: []registry.Advisory{}, Revision: rev,
	}
	if c.Addr.IsValid() {
		x.Addr = c.Addr.String()
	}
	return x
}
