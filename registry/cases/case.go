package cases

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Case is one case of the rule book. The zero value expects nothing that can be.
// A case is not changed by running it.
type Case struct {
	ID          string   `json:"id"`
	Description string   `json:"description"`
	Query       Query    `json:"query"`
	Filings     []Filing `json:"filings"`
	Expect      Expect   `json:"expect"`
	Source      string   `json:"source"`
	Decided     string   `json:"decided"`

	// At is where the case stands: file and line. Empty for a case that was not read.
	At string `json:"-"`
}

// Query is the query of a case, in the words of the form.
type Query struct {
	Channel         channel              `json:"channel"`
	Provider        registry.ProviderID  `json:"provider"`
	AddressProvider *registry.ProviderID `json:"address_provider"`
	Host            string               `json:"host"`
	SNI             string               `json:"sni"`

	QType       string       `json:"qtype"`
	Destination destination  `json:"destination"`
	Answers     []Answer     `json:"answers"`
	DestIP      netip.Addr   `json:"dest_ip"`
	Product     product      `json:"product"`
	CNAMEChain  []string     `json:"cname_chain"`
	Accel       acceleration `json:"acceleration"`
	Origin      origin       `json:"origin"`
	Role        role         `json:"role"`

	Policy      Policy            `json:"policy"`
	Exempt      []exempt          `json:"exempt"`
	Override    *Override         `json:"override"`
	Blacklisted Blacklist         `json:"blacklisted"`
	Registry    registryState     `json:"registry"`
	TLDs        []registry.Domain `json:"tlds"`
	Profiles    Profiles          `json:"profiles"`
	Now         time.Time         `json:"now"`

	// Facts that only the audit asks for.
	DomainExpired bool    `json:"domain_expired"`
	OpenedDays    int     `json:"opened_days"`
	PSB           *string `json:"psb"`
}

// Answer is one address of a DNS answer that holds several.
type Answer struct {
	IP              netip.Addr           `json:"ip"`
	Destination     registry.Place       `json:"destination"`
	AddressProvider *registry.ProviderID `json:"address_provider"`
	Product         *registry.Product    `json:"product"`
}

// Override is an exemption of the host, counted from the case's now.
type Override struct {
	AllowUntilHours float64 `json:"allow_until_hours"`
	Authority       bool    `json:"authority"`
}

// Expect is what a case expects. Verdict and Reason must be given.
type Expect struct {
	Verdict    verdictWord         `json:"verdict"`
	Reason     *registry.Reason    `json:"reason"`
	Page       registry.Page       `json:"page"`
	Advisories []registry.Advisory `json:"advisories"`
	Effect     string              `json:"effect"`  // "" is not compared
	Product    string              `json:"product"` // "" is not compared
	Filed      string              `json:"filed"`   // "" is not compared
	Audit      []string            `json:"audit"`   // never compared
}

// Filing is one row of the case's registry, as it stands in the file. Its words
// and keys were checked when it was read; whether it can be recorded is for the
// import to say.
type Filing struct{ raw json.RawMessage }

// defaultNow is the time of a case that gives none. Any fixed time would do.
var defaultNow = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// now is the time of the case.
func (q *Query) now() time.Time {
	if q.Now.IsZero() {
		return defaultNow
	}
	return q.Now
}
