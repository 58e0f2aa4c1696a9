package edge

import (
	"net"
	"net/netip"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/index"
)

// Defaults of the block.
const (
	// DefaultTTL is how long a block answer is kept, in seconds: short, so that a
	// site is back soon after it is filed. BIND caps the answers of its policy
	// zones at the same 5 s (max-policy-ttl).
	DefaultTTL = 5
	// DefaultEDE is RFC 8914 "Censored": withheld on the requirement of an
	// outside authority.
	DefaultEDE = 16
	// RedirectEDE is RFC 8914 "Forged Answer", which a redirect is.
	RedirectEDE = 4
	// DefaultCache is how many names the cache holds: about 5 MB when full.
	DefaultCache = 16 << 10
	// DefaultPoll is how often files are looked at.
	DefaultPoll = 5 * time.Second
)

// Config is what an `icp` block says. The zero value of every field is its
// default; Registry (or Service, or Live) alone must be given. Paths are used as they stand: Parse has
// joined relative ones to the root already.
type Config struct {
	// Zones are the zones whose names are judged: names without a trailing dot,
	// "." or reverse CIDRs. None: all.
	Zones []string
	// Registry is the snapshot file of the registry.
	Registry string
	// Service is the URL of a registry service, in place of the file. Keys is the file
	// of the public keys of which one must have signed what it says: the registry is
	// followed and held then. Without Keys it is asked name by name. Access are the
	// files of what is shown to it, and by what it is known; each optional.
	Service, Keys string
	Access        feed.Access
	// AcceptEpoch is an epoch of the registry that is followed though a newer one was
	// seen, after a restore that an operator knows of. Optional.
	AcceptEpoch registry.Epoch
	// ThinTimeout is how long a question waits for the service. Default 50 ms.
	ThinTimeout time.Duration
	// MaxStale is how old the registry may be, and OnStale what becomes of verdicts
	// then. Default: as old as it will. A file ages since its registry was made, a
	// service since it answered last.
	MaxStale time.Duration
	OnStale  OnStale
	// State is the directory in which the process keeps its own copy of the
	// snapshot, and maps it. Default DefaultState, if it can be used; else the
	// snapshot is read into memory.
	State string
	// Cache is how many names the cache before the registry holds. Default
	// DefaultCache; below 0 there is none.
	Cache int
	// Provider is whose edge this is. Optional: nobody's, and only "is it filed?"
	// is asked.
	Provider registry.ProviderID

	// Mainland is a file of mainland prefixes or an MMDB. Optional: the built-in
	// table. MainlandAdd: it extends the built-in table in place of replacing it.
	Mainland    string
	MainlandAdd bool
	// Networks is a file of prefixes with provider, product, region. Optional.
	Networks string
	// NAT64 are prefixes of the operator's own translators, beside the well-known
	// ones. Optional.
	NAT64 []netip.Prefix
	// Confirm is how many sources must agree that an address is in the mainland.
	// Default 1.
	Confirm int

	// Bindings is a file of names with product, acceleration, origin. Optional.
	Bindings string
	// Suffixes is a file of CNAME suffixes that extends the built-in table. Optional.
	Suffixes string
	// Profiles is a file of product profiles over the built-in ones. Optional.
	Profiles string

	// Policy holds the policy knobs, fail, mode and mixed.
	Policy registry.Policy
	// Block says what a blocked DNS client gets. Default: NODATA.
	Block Block
	// Exempt and ExemptFiles are the operator's exemptions. Optional.
	Exempt      []Exempted
	ExemptFiles []ExemptFile
	// Clients are networks with a treatment of their own. Optional.
	Clients []Client

	// EDE is the extended DNS error of a block answer. Default DefaultEDE, and
	// RedirectEDE for a redirect.
	EDE uint16
	// TTL is that of a block answer in seconds. Default DefaultTTL.
	TTL uint32
	// MaxTTL caps the TTL of passed answers that point into the mainland, in
	// seconds. Default: no cap.
	MaxTTL uint32
	// StripECH says where encrypted client hello keys are removed. Default: where
	// an address in the same message is withheld.
	StripECH StripECH
	// Structured tells block answers to clients that ask for structured errors.
	// Default: as to all others.
	Structured Structured

	// Log is the block log. Default: none.
	Log Log
	// Admin is where an Admin handler listens. Optional: nowhere. Edges of one
	// process that name the same address share it.
	Admin netip.AddrPort
	// AdminProfiles has profiles of the process served there as well, in the form of
	// go tool pprof. Default: not.
	AdminProfiles bool

	// Label names the block to people: the keys of a server block. Optional. Not in
	// the block.
	Label string
	// Channel is how the program sees what it judges. Default: DNS. Not in the
	// block.
	Channel registry.Channel
	// Stands is what the program's own hosts stand at. Default: unknown. Not in the
	// block.
	Stands Stands
	// Live is a registry that the caller keeps, in place of the file. Optional.
	// Not in the block.
	Live *index.Live
	// Lists are those of the registry that the caller keeps; optional.
	Lists Lister
	// InMemory reads the snapshot into memory and keeps no copy. Not in the block.
	InMemory bool
	// Poll is how often files are looked at; the first to open a file decides.
	// Default DefaultPoll. Not in the block.
	Poll time.Duration
	// Observer is told of reloads. Optional. Not in the block.
	Observer Observer
	// Listen opens the admin listener. Default net.Listen. Not in the block.
	Listen func(network, address string) (net.Listener, error)
	// Now is the clock. Default time.Now. Not in the block.
	Now func() time.Time
}

// Stands is where the hosts stand that a program serves, and by what. An
// explanation goes by it where the question does not tell. The zero value knows
// neither.
type Stands struct {
	Addrs   []netip.Addr
	Product registry.Product
}

// Observer is told what became of a file that changed, and of the registry's age. Calls come from the
// goroutine that watches the file; two may run at once. An Observer that several
// Edges share is told once, for which it must be comparable.
type Observer interface {
	Reloaded(Reload)
	// Aged is called when a registry becomes too old to decide, with what an operator
	// has to know, and with "" when it decides again.
	Aged(warning string)
}

// Reload is what became of data whose files changed.
type Reload struct {
	Data  string        // the option that names it: "registry", "networks" …
	Files []string      // the files it is read from
	Err   error         // why the old data stay in force; nil if the new ones do
	Took  time.Duration // time to read
	// Warnings tell what in the new data has no effect, as Edge.Warnings does.
	Warnings []string
}

// Block is what a blocked DNS client gets. The zero value is NODATA.
type Block struct {
	Action Action
	Addrs  []netip.Addr // of the notice host, for Redirect; at least one then
}

// Notice reports whether a is an address of the notice host, which is never judged.
func (b Block) Notice(a netip.Addr) bool {
	for _, n := range b.Addrs {
		if n == a {
			return true
		}
	}
	return false
}

// Action is how a DNS answer is withheld. The zero value is NoData.
type Action uint8

// The actions.
const (
	NoData   Action = iota // NOERROR without an answer: other types of the name live on
	NXDomain               // the name does not exist
	Refused                // the client may ask elsewhere
	Redirect               // the addresses of a notice host
)

var actionWords = []string{"nodata", "nxdomain", "refused", "redirect"}

// String returns the word of a.
func (a Action) String() string { return actionWords[a] }

// StripECH is where the keys of encrypted client hello are removed from HTTPS
// and SVCB records. The zero value is StripECHBlocked.
type StripECH uint8

// The values of strip-ech.
const (
	StripECHBlocked StripECH = iota // where an address in the same message is withheld
	StripECHOff                     // nowhere
	StripECHUnfiled                 // and from every name that is not filed, wherever it points
)

var stripECHWords = []string{"blocked", "off", "unfiled"}

// String returns the word of s.
func (s StripECH) String() string { return stripECHWords[s] }

// Client is a network of clients with a treatment of its own.
type Client struct {
	Prefix    netip.Prefix
	Treatment Treatment
}

// Treatment is how a client is treated. The zero value is the usual way.
type Treatment uint8

// The treatments.
const (
	Usual           Treatment = iota
	ExemptClient              // nothing is inspected
	MonitoredClient           // verdicts are counted only
)

var treatmentWords = []string{"usual", "exempt", "monitor"}

// String returns the word of t.
func (t Treatment) String() string { return treatmentWords[t] }

// thin reports whether the registry is asked for name by name.
func (c *Config) thin() bool { return c.Service != "" && c.Keys == "" }

// follows reports whether the registry is that of a service that is followed.
func (c *Config) follows() bool { return c.Service != "" && c.Keys != "" }
