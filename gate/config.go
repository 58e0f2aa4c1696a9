package gate

import (
	"net/netip"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// Defaults of the directives.
const (
	// DefaultConnections bounds what a flood can take: at some 6 KiB an idle
	// connection, 50,000 are 300 MB and 100,000 open files.
	DefaultConnections = 50_000
	// DefaultPrefixV4 and DefaultPrefixV6 are one client: an IPv4 address, and the
	// /64 that RFC 6177 hands to the smallest site, whose every address is its own.
	DefaultPrefixV4 = 32
	DefaultPrefixV6 = 64
	// DefaultHead holds every hello that clients send: those with post-quantum
	// keys have 2 KB, nginx's and Apache's own limits for an HTTP head are 32 KB
	// and below.
	DefaultHead = 32 << 10
	// MaxHead is what crypto/tls reads of a handshake message.
	MaxHead = 64 << 10
	// DefaultBodyRate is what IIS (minBytesPerSecond) and Kestrel demand of a body.
	DefaultBodyRate = 240
	// DefaultInitials is for the thousands behind a carrier's address: a browser
	// begins a connection with two datagrams, three if it must wait.
	DefaultInitials = 1000
	// DefaultHeadTimeout is absolute: no dribble extends it.
	DefaultHeadTimeout = 5 * time.Second
	// DefaultIdleTimeout is nginx's keepalive_timeout, rounded down.
	DefaultIdleTimeout = 60 * time.Second
	// DefaultProxyIdle is for proxies that keep connections to ask over: they end them
	// themselves when they have no use for them, and a question that crosses our
	// farewell is lost.
	DefaultProxyIdle = 10 * time.Minute
	// DefaultDialTimeout is HAProxy's usual "timeout connect".
	DefaultDialTimeout = 5 * time.Second
	// DefaultDrainTimeout is below the 30 s after which Kubernetes kills.
	DefaultDrainTimeout = 25 * time.Second
	// DefaultEstablished is how long a connection whose name now blocks may go on.
	DefaultEstablished = 10 * time.Second
	// DefaultStatus is that of a block page.
	DefaultStatus = 403
)

// Config is what a configuration file of icp-gate says, one for the whole
// process. It is not changed once it is read and then safe for concurrent use.
type Config struct {
	// Servers are the server blocks in the order of the file; at least one.
	Servers []Server
}

// Server is one server block. The zero value of every field is its default;
// Listeners, ICP.Registry and Upstreams (or OriginalDst) alone must be given;
// where the listeners are asked, Peers and Serves in place of Upstreams.
// Paths are absolute or joined to the directory of the file already.
type Server struct {
	// At is where the block begins, as FILE:LINE.
	At string
	// Listeners are the block's keys.
	Listeners []Listener
	// ICP is the block's `icp { … }`.
	ICP edge.Config
	// Upstreams are the web servers behind, in the order of the file, taken in
	// turn. Optional with OriginalDst, whose destination is dialled then.
	Upstreams []Upstream
	// Serves says what address the listeners stand for. Default: what the
	// connection tells.
	Serves Serves
	// Peers are who may ask listeners that are asked. Whoever may connect to a unix
	// socket may ask there. Default: nobody else.
	Peers []netip.Prefix
	// Socket says who may connect to the unix sockets among Listeners. Default: as the
	// umask has it.
	Socket SocketAccess
	// Reflection has listeners of gRPC tell which services they have. Default: not.
	Reflection bool
	// ProxyFrom are the peers that must send a PROXY header; others must not.
	// Default: nobody sends one.
	ProxyFrom []netip.Prefix
	// OriginalDst says how connections come that were meant for somebody else.
	// Default: they do not.
	OriginalDst OriginalDst
	// Certificates are the operator's own. Default: none, TLS is passed through.
	Certificates []Certificate
	// Block says what a blocked client gets.
	Block Block
	// Says is what a notice says beside the verdict; its Status, Redirect and
	// TemplateFile are Block's to set. Default: nothing.
	Says NoticeConfig
	// Limits bound what clients may take.
	Limits Limits
	// Timeouts end what takes too long.
	Timeouts Timeouts
	// Established is what becomes of connections whose name is blocked later.
	Established Established
	// UpgradeOff refuses every Upgrade. Default: to websocket it is passed on.
	UpgradeOff bool
	// H2C takes HTTP/2 in plaintext. Default: refused at the preface.
	H2C bool
	// ECHRefuse refuses hellos with encrypted client hello that is no GREASE to
	// us: its inner name is not seen. Default: the outer name decides.
	ECHRefuse bool
	// Forwarded says what becomes of the headers that name the client.
	Forwarded Forwarded
	// Log is the connection log. Default: off.
	Log Log
}

// Listener is one key of a server block.
type Listener struct {
	Scheme  Scheme
	Network string // "tcp", "udp" or "unix"
	// Address is for net.Listen: IP:PORT, :PORT for every address, or a path.
	Address string
	// Addr is Address as a value: unspecified for :PORT; zero for a unix socket.
	Addr netip.AddrPort
}

// String returns the key as a configuration writes it.
func (l Listener) String() string {
	if l.Network == "unix" {
		return l.Scheme.String() + "://unix:" + l.Address
	}
	return l.Scheme.String() + "://" + l.Address
}

// Scheme is what a listener speaks. The zero value is HTTP.
type Scheme uint8

// The schemes.
const (
	HTTP  Scheme = iota // HTTP in plaintext
	TLS                 // TLS
	Mixed               // both on one port, told apart by the first byte
	QUIC                // QUIC, on a UDP port
	Auth                // asked by proxies over HTTP
	GRPC                // asked by Envoy over gRPC
	SPOE                // asked by HAProxy over SPOP
)

var schemeWords = []string{"http", "tls", "mixed", "quic", "auth", "grpc", "spoe"}

// String returns the word of s.
func (s Scheme) String() string { return schemeWords[s] }

// Asked reports whether proxies ask a listener of this scheme, in place of
// clients whose connections it passes on.
func (s Scheme) Asked() bool { return s >= Auth }

// Upstream is one web server behind the gate.
type Upstream struct {
	Network string // "tcp" or "unix"
	// Address is for net.Dial: HOST:PORT or a path. A HOST that is a name is
	// looked up by the system at every dial.
	Address string
	// TLS is spoken to it if set. Its certificate is verified by the system's
	// roots, for TLSName, or for the host of Address where that is empty; the same
	// is sent as SNI.
	TLS     bool
	TLSName string
	// ProxyProtocol is the version of the PROXY header that it is sent, 1 or 2.
	// Default 0: none.
	ProxyProtocol uint8
	// Check is how often a connection is tried to see whether it is there.
	// Default 0: never; only failed dials tell.
	Check time.Duration
}

// Serves is what address a listener stands for. The zero value leaves it to the
// connection.
type Serves struct {
	// Asked: proxies tell the address when they ask, and what stands here is for
	// when they do not. Only for listeners that are asked.
	Asked bool
	// Mainland: a mainland address of the edge's provider.
	Mainland bool
	// Addrs are public addresses; what one of them blocks is blocked.
	Addrs []netip.Addr
	// Product answers there. Default: what the networks say.
	Product registry.Product
}

// IsZero reports whether no address is said; Asked is none.
func (s Serves) IsZero() bool { return !s.Mainland && len(s.Addrs) == 0 }

// OriginalDst is how connections come that a packet filter has turned to the
// gate, and where they may have been meant for.
type OriginalDst struct {
	Mode   OriginalMode
	Within []netip.Prefix // at least one, if Mode is set
}

// OriginalMode is how the packet filter turns connections. The zero value is
// that it does not.
type OriginalMode uint8

// The modes.
const (
	NoOriginal OriginalMode = iota
	Redirect                // NAT by REDIRECT; SO_ORIGINAL_DST tells
	TProxy                  // TPROXY; the local address tells
)

var originalWords = []string{"", "redirect", "tproxy"}

// String returns the word of m; "" for NoOriginal.
func (m OriginalMode) String() string { return originalWords[m] }

// Certificate is a certificate of the operator with its key, in PEM files that
// are read again when they change.
type Certificate struct {
	Cert, Key string
	// PageOnly: TLS is ended with it only to show the block page; all else is
	// passed through. Default: TLS of the names it is for always ends here. All
	// certificates of a block agree in it.
	PageOnly bool
}

// Block says what a blocked client gets. The zero value is the page where one
// can be shown (HTTP, and TLS with a certificate) and the alert elsewhere. The
// latter goes for every action: where it is not possible, the default is taken,
// which is BlockClose for QUIC.
type Block struct {
	Action BlockAction
	// URL is where a BlockRedirect sends the client: absolute, http or https.
	URL string
	// Status is that of a page: 403 or 451. Default DefaultStatus.
	Status int
	// Template is a file in place of the built-in page. Optional.
	Template string
}

// BlockAction is how a request or a connection is refused. The zero value is
// BlockDefault.
type BlockAction uint8

// The actions.
const (
	BlockDefault  BlockAction = iota
	BlockPage                 // HTTP: a page that says why
	BlockRedirect             // HTTP: 302 to the operator's own page
	BlockAlert                // TLS: alert unrecognized_name (112), then FIN
	BlockRST                  // TCP RST, nothing said
	BlockFIN                  // FIN, nothing said
	BlockClose                // QUIC: CONNECTION_CLOSE with the alert unrecognized_name
	BlockDrop                 // QUIC: silence
)

var blockWords = []string{"", "page", "redirect", "alert", "rst", "fin", "close", "drop"}

// String returns the word of a; "" for BlockDefault.
func (a BlockAction) String() string { return blockWords[a] }

// Limits bound what clients may take.
type Limits struct {
	// Connections is how many may be open in the server block. Default
	// DefaultConnections.
	Connections int
	// PerClient is how many of them one client may have. Default 0: all, for
	// behind one address may be a carrier's thousands.
	PerClient int
	// PrefixV4 and PrefixV6 are the bits of an address that make a client. Default
	// DefaultPrefixV4, DefaultPrefixV6.
	PrefixV4, PrefixV6 int
	// Head is the most bytes of a hello or a request's head. Default DefaultHead.
	Head int
	// BodyRate is the least bytes a second that a client may send a body with,
	// over the window of rateWindow. Default DefaultBodyRate; negative: no least.
	BodyRate int
	// Initials is how many datagrams of no connection that is open one client may
	// send a second, on QUIC's listeners. Default DefaultInitials.
	Initials int
}

// Timeouts end what takes too long.
type Timeouts struct {
	Head  time.Duration // from the first to the last byte of a head. Default DefaultHeadTimeout
	Idle  time.Duration // nothing sent either way. Default DefaultIdleTimeout; DefaultProxyIdle where proxies ask
	Dial  time.Duration // to reach an upstream, all tries. Default DefaultDialTimeout
	Drain time.Duration // for open connections at the end of the process. Default DefaultDrainTimeout
}

// Established is what becomes of open connections whose name is blocked later.
// The zero value ends them within DefaultEstablished.
type Established struct {
	Keep  bool          // they go on
	After time.Duration // they are ended within this. Default DefaultEstablished
}

// Forwarded says what becomes of X-Forwarded-For, X-Forwarded-Proto and
// Forwarded of a request, and of what tells the like (sniff.Tells). The zero value is ForwardedAdd.
type Forwarded uint8

// The values of forwarded.
const (
	ForwardedAdd     Forwarded = iota // the client is added to what it sent
	ForwardedReplace                  // what it sent is dropped: it may have lied
	ForwardedOff                      // nothing is touched
)

var forwardedWords = []string{"add", "replace", "off"}

// String returns the word of f.
func (f Forwarded) String() string { return forwardedWords[f] }

// Log is the connection log: a line for every verdict. The zero value is none.
type Log struct {
	On bool
	// File is appended to. Default: standard error.
	File string
	// Sample writes one verdict of N. Default 0: every one.
	Sample int
	// PrefixV4 and PrefixV6 are the bits of a client's address that are written.
	// Default 0, 0: all.
	PrefixV4, PrefixV6 int
}

// Terminates reports whether TLS ends at the gate.
func (s *Server) Terminates() bool {
	return len(s.Certificates) > 0 && !s.Certificates[0].PageOnly
}

// orDefault returns v, or the default where v is the zero value.
func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// WithDefaults returns l with defaults in place of zeros; a negative BodyRate,
// no least, becomes 0.
func (l Limits) WithDefaults() Limits {
	l.Connections = orDefault(l.Connections, DefaultConnections)
	l.PrefixV4 = orDefault(l.PrefixV4, DefaultPrefixV4)
	l.PrefixV6 = orDefault(l.PrefixV6, DefaultPrefixV6)
	l.Head = orDefault(l.Head, DefaultHead)
	l.BodyRate = max(0, orDefault(l.BodyRate, DefaultBodyRate))
	l.Initials = orDefault(l.Initials, DefaultInitials)
	return l
}

// WithDefaults returns t with defaults in place of zeros.
func (t Timeouts) WithDefaults() Timeouts {
	t.Head = orDefault(t.Head, DefaultHeadTimeout)
	t.Idle = orDefault(t.Idle, DefaultIdleTimeout)
	t.Dial = orDefault(t.Dial, DefaultDialTimeout)
	t.Drain = orDefault(t.Drain, DefaultDrainTimeout)
	return t
}
