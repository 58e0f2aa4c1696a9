package registry

import (
	"math/bits"
	"strings"
)

// Reason is why a verdict is what it is; every verdict has exactly one. Whether
// it passes or blocks follows from the reason, except for Undecided, which the
// policy settles. The zero value is Undecided.
type Reason uint8

// The reasons (rule book §1). Their order has no meaning.
const (
	Undecided Reason = iota // no registry is loaded

	Accessed            // filed, and accessed here
	AccessPending       // filed, the access order here is past the provider's review and the policy grants it
	Filed               // filed, which is enough here
	OutsideMainland     // the address is outside the mainland
	OverseasAccelerated // overseas acceleration, at an address outside the mainland
	LocationUnknown     // no source knows where the address is
	NotPublic           // private, loopback, link-local …
	NoAddress           // DNS: nothing points anywhere
	IPLiteralPass       // an address as host
	NoHostPass          // no host
	Exempt              // an operator's exemption
	NotJudged           // root, single label, reverse and exempt zones

	Unfiled             // no filing covers the name
	GovUnitUnfiled      // another government unit's filing is there, not this one's
	IPUnfiled           // policy filed-only: no filing for the address
	Cancelled           // the filing was cancelled (注销)
	NotAccessed         // filed, but this provider holds no access
	AccessCancelledHere // this provider's access was cancelled (取消接入)
	Shell               // filed, no provider holds an access (空壳网站)
	Restricted          // the authority restricted access (限制接入)
	Blacklisted         // on the authority's blacklist
	IPRefused           // policy ip-literal block
	NoHostRefused       // policy no-host block
	Malformed           // gate: the head cannot be read in one way
	reasonCount
)

// firstBlock is the first of the reasons that block; they stand together.
const firstBlock = Unfiled

var reasonWords = words{
	"undecided",
	"accessed", "access-pending", "filed", "outside-mainland", "overseas-acceleration", "location-unknown",
	"not-public", "no-address", "ip-literal", "no-host", "exempt", "not-judged",
	"unfiled", "gov-unit-unfiled", "ip-unfiled", "cancelled", "not-accessed", "access-cancelled", "shell",
	"restricted", "blacklisted", "ip-refused", "no-host-refused", "malformed",
}

// Reasons returns all reasons, for tables and metrics.
func Reasons() []Reason {
	all := make([]Reason, reasonCount)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// ParseReason reads the word of a reason.
func ParseReason(s string) (Reason, error) {
	i, err := reasonWords.parse("reason", s)
	return Reason(i), err
}

// String returns the word of r, for example "not-accessed".
func (r Reason) String() string { return reasonWords.of(uint8(r)) }

// MarshalText writes the word of r.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Reason) UnmarshalText(b []byte) (err error) {
	*r, err = ParseReason(string(b))
	return err
}

// Blocks reports whether r is a reason to block. It is false for Undecided.
func (r Reason) Blocks() bool { return r >= firstBlock && r < reasonCount }

// severity orders the block reasons from the worst (rule book §2.5: the
// worst counts; blacklisted first, access trouble last); 0 is no block.
func (r Reason) severity() int {
	return int(severities[r%reasonCount])
}

var severities = func() (s [reasonCount]uint8) {
	worst := []Reason{Blacklisted, Restricted, Malformed, Cancelled, Unfiled, GovUnitUnfiled, IPUnfiled, IPRefused,
		NoHostRefused, Shell, AccessCancelledHere, NotAccessed, Undecided}
	for i, r := range worst {
		s[r] = uint8(len(worst) - i)
	}
	return s
}()

// Page is which notice a blocked client is shown. The zero value is none.
type Page uint8

// The pages.
const (
	PageNone Page = iota
	PageUnfiled
	PageNotAccessed
	PageOther
	PageUndecided
)

var pageWords = words{"none", "unfiled", "not-accessed", "other", "undecided"}

// ParsePage reads the word of a page.
func ParsePage(s string) (Page, error) {
	i, err := pageWords.parse("page", s)
	return Page(i), err
}

// String returns the word of p.
func (p Page) String() string { return pageWords.of(uint8(p)) }

// MarshalText writes the word of p.
func (p Page) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Page) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePage(string(b))
	return err
}

// Page returns the notice that a block for reason r shows.
func (r Reason) Page() Page {
	switch r {
	case Unfiled, GovUnitUnfiled, IPUnfiled, Cancelled:
		return PageUnfiled
	case NotAccessed, AccessCancelledHere, Shell:
		return PageNotAccessed
	case Restricted, Blacklisted, IPRefused, NoHostRefused, Malformed:
		return PageOther
	case Undecided:
		return PageUndecided
	}
	return PageNone
}

// Advisory is something that staff should know beside the verdict (提示).
type Advisory uint8

// The advisories of a decision (rule book §1).
const (
	PSBIfServingMainland Advisory = iota
	FilingRequiredForGlobal
	PSBRequired
	RegionMismatch
	AccessHere
	PendingReview
	FinishWithin45Days
	ReAccessSoon
	ShellRisk
	AccessRecommended
	OriginAccessRequired
	IPFilingAtAuthority
	InspectHostAfterTLS
	TLDNotFileable
	AppFilingIsNotSiteFiling
	UseDNS01
	advisoryCount
)

var advisoryWords = words{
	"psb-if-serving-mainland", "filing-required-for-global", "psb-required", "region-mismatch", "access-here",
	"pending-review", "finish-within-45-days", "re-access-soon", "shell-risk", "access-recommended",
	"origin-access-required", "ip-filing-at-authority", "inspect-host-after-tls", "tld-not-fileable",
	"app-filing-is-not-site-filing", "use-dns01",
}

// ParseAdvisory reads the word of an advisory.
func ParseAdvisory(s string) (Advisory, error) {
	i, err := advisoryWords.parse("advisory", s)
	return Advisory(i), err
}

// String returns the word of a.
func (a Advisory) String() string { return advisoryWords.of(uint8(a)) }

// MarshalText writes the word of a.
func (a Advisory) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (a *Advisory) UnmarshalText(b []byte) (err error) {
	*a, err = ParseAdvisory(string(b))
	return err
}

// Advisories is a set of advisories. The zero value is empty.
type Advisories uint32

// With returns the set with a in it.
func (s Advisories) With(a Advisory) Advisories { return s | 1<<a }

// Has reports whether a is in the set.
func (s Advisories) Has(a Advisory) bool { return s&(1<<a) != 0 }

// Slice returns the advisories in the set, in their own order; empty, not nil,
// for the empty set.
func (s Advisories) Slice() []Advisory {
	all := make([]Advisory, 0, bits.OnesCount32(uint32(s)))
	for a := range advisoryCount {
		if s.Has(a) {
			all = append(all, a)
		}
	}
	return all
}

// String lists the words of the set, separated by commas.
func (s Advisories) String() string {
	var list []string
	for _, a := range s.Slice() {
		list = append(list, a.String())
	}
	return strings.Join(list, ",")
}
