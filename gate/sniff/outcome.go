package sniff

// Kind is what the head of a connection turned out to be. The zero value is
// More. Five of them have policies of their own; none is ever another.
type Kind uint8

// The kinds.
const (
	More      Kind = iota // it is not all there yet
	Name                  // the client means a name
	NoName                // it names nobody
	Literal               // it names an address
	Malformed             // it cannot be read in one way
	Other                 // it is another protocol
)

var kindWords = [...]string{"more", "name", "no-name", "literal", "malformed", "other"}

// String returns the word of k.
func (k Kind) String() string { return kindWords[k] }

// Cause is why a head is Malformed, or which protocol it is where it is Other.
// The zero value is none. There are few of them and each has a word that may be
// the label of a metric.
type Cause uint8

// The causes.
const (
	NoCause Cause = iota

	// TLS.
	BadRecord     // a record of a wrong version or length, or an empty one
	BadSequence   // another message, or more of them, where the hello belongs
	TooLong       // longer than MaxHello
	TooManyParts  // in more than MaxRecords records
	BadHello      // lengths that do not fit together
	BadExtensions // an extension twice, or too many
	BadServerName // the extension holds anything but one host name
	BadName       // the name is none

	// HTTP.
	BadRequestLine
	BadTarget
	BadVersion
	BadHeader  // a line that is no header, or bytes that no value may hold
	BadFolding // a header that goes on in the next line
	BadHost    // none, several, or one that is neither name nor address
	HostDiffers
	BadLength // Content-Length or Transfer-Encoding that two parsers may read as they like
	BadConnection
	Connect // the method CONNECT: a gate opens no tunnels
	LineTooLong
	TooManyHeaders
	BadChunk
	BadAddress // who asks does not tell the address that is asked about
	BadProduct // who asks tells a product that there is not

	// QUIC.
	BadPacket       // a header whose lengths do not fit, or bits that must be zero
	BadConnectionID // longer than 20 bytes, or shorter than 8 where a client chose it
	BadFrame        // a frame that no Initial packet may hold, or that is cut short
	SmallDatagram   // fewer than 1200 bytes where an Initial packet begins a connection
	MixedPackets    // of several connection ids or versions in one datagram
	NotOpened       // an Initial packet that the keys of its connection do not open
	TwoReadings     // an Initial packet that opens with the keys of two connections
	TooManyGaps     // more than MaxQUICGaps in what came of the handshake
	CryptoDiffers   // two packets disagree about a byte of the handshake
	NameDiffers     // a second hello does not mean whom the first one did
	OtherVersion    // a version that is neither 1 nor 2
	NoInitial       // packets that begin no connection

	// Other protocols.
	HTTP    // plaintext HTTP where TLS belongs
	TLS     // TLS where plaintext belongs
	SSLv2   // the hello of SSL 2
	HTTP2   // the preface of HTTP/2 with prior knowledge
	Unknown // anything else
)

var causeWords = [...]string{
	"", "bad-record", "bad-sequence", "too-long", "too-many-records", "bad-hello", "bad-extensions", "bad-server-name", "bad-name",
	"bad-request-line", "bad-target", "bad-version", "bad-header", "folded-header", "bad-host", "host-differs", "bad-length",
	"bad-connection", "connect", "line-too-long", "too-many-headers", "bad-chunk", "bad-address", "bad-product",
	"bad-packet", "bad-connection-id", "bad-frame", "small-datagram", "mixed-packets", "not-opened", "two-readings", "too-many-gaps",
	"crypto-differs", "name-differs", "other-version", "no-initial",
	"http", "tls", "sslv2", "http2", "unknown",
}

// String returns the word of c, "" for none.
func (c Cause) String() string { return causeWords[c] }

// Causes returns all of them, for counters that are made beforehand.
func Causes() []Cause {
	all := make([]Cause, len(causeWords))
	for i := range all {
		all[i] = Cause(i)
	}
	return all
}

// The alerts of TLS that a gate sends, RFC 8446 §6.
const (
	AlertUnexpectedMessage = 10
	AlertRecordOverflow    = 22
	AlertIllegalParameter  = 47
	AlertDecodeError       = 50
	AlertUnrecognizedName  = 112
)

// Alert is the description of the alert that answers a hello with this cause.
func (c Cause) Alert() uint8 {
	switch c {
	case BadSequence:
		return AlertUnexpectedMessage
	case BadExtensions, BadServerName, NameDiffers:
		return AlertIllegalParameter
	}
	return AlertDecodeError
}

// Status is the status of the answer to a request with this cause.
func (c Cause) Status() int {
	switch c {
	case LineTooLong:
		return 414
	case TooLong, TooManyHeaders:
		return 431
	case Connect:
		return 405
	case BadVersion:
		return 505
	}
	return 400
}
