package sniff

import (
	"bytes"
	"iter"
)

// Limits are those of a request's head. The zero value of a field is its
// default.
type Limits struct {
	Head   int // bytes of the whole head; default 64 KiB
	Line   int // bytes of the request line; default 16 KiB
	Fields int // header fields; default 128
}

// Defaults of Limits: what nginx (4 × 8 KiB) and HAProxy (16 KiB, 101 fields)
// take, with room to spare; chunks of cookies reach some 20 KiB in practice.
const (
	defaultHead   = 64 << 10
	defaultLine   = 16 << 10
	defaultFields = 128
)

func (l Limits) withDefaults() Limits {
	if l.Head <= 0 {
		l.Head = defaultHead
	}
	if l.Line <= 0 {
		l.Line = defaultLine
	}
	if l.Fields <= 0 {
		l.Fields = defaultFields
	}
	return l
}

// maxMethod is the longest method that is taken: the longest registered one has
// 17 bytes (UPDATEREDIRECTREF).
const maxMethod = 32

// Span is a part of a head: b[From:To].
type Span struct{ From, To int }

// Of returns the bytes of the part.
func (s Span) Of(b []byte) []byte { return b[s.From:s.To] }

func (s Span) empty() bool { return s.From == s.To }

// Request is what ReadRequest found. Its spans are parts of the buffer, so that
// it holds good when the buffer is moved. It is a value.
type Request struct {
	Kind  Kind // of the host; or Malformed, Other, More
	Cause Cause

	Method, Target Span
	Minor          uint8 // HTTP/1.Minor
	// Host is the name or address that the client means, without port and without
	// the brackets of IPv6.
	Host Span
	// HostField tells that there is a header Host, even if an empty one: without
	// one, HTTP/1.1 is Malformed.
	HostField bool
	// Path is the path of the target, with the query; of an absolute one what
	// stands behind the authority. It is empty for "http://a", and * for OPTIONS.
	Path Span

	Framing
	// Expect tells that the client waits for 100 before it sends the body.
	Expect bool
	// Upgrade is the value of that header, empty if there is none; Connection
	// named it.
	Upgrade Span
	// Drop are lines, with their ends, that a gate must not forward if it does
	// not grant the upgrade: Upgrade, HTTP2-Settings. Connection are the lines of
	// that header that name one of them. Forwarded are lines that tell of the client.
	Drop       [2]Span
	Connection [2]Span
	Forwarded  [maxForwarded]Told
	Forwards   int // how many of Forwarded are set

	Length int // bytes of the head, with what stands before it and the empty line
	Start  int // where the request line begins: empty lines before it are skipped
}

// maxForwarded bounds the lines of Forwarded; more are Malformed.
const maxForwarded = 16

// Framing is how a body is framed.
type Framing struct {
	// Chunked: by chunks. Else it has ContentLength bytes, and -1 is a response's
	// that goes on until the connection is closed.
	Chunked       bool
	ContentLength int64
	// Close tells that the connection ends behind this message.
	Close bool
}

// HeadEnd returns how many bytes of b the first head takes, empty lines before
// it included, or 0 if it is not all there. from is how many bytes of b were
// looked at before; so a head that comes in many pieces is gone through once.
func HeadEnd(b []byte, from int) int {
	at := max(0, from-3) // the empty line may have been cut
	for {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0
		}
		at += i + 1
		// Both the proper end and that of a bare LF count: ReadRequest refuses the
		// latter, and must see it for that.
		rest := b[:at-1]
		if n := len(rest); n > 0 && rest[n-1] == '\r' {
			rest = rest[:n-1]
		}
		if n := len(rest); n > 0 && rest[n-1] == '\n' && !blank(rest) {
			return at
		}
	}
}

// blank reports whether there is nothing but ends of lines.
func blank(b []byte) bool {
	for _, c := range b {
		if c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}

// ReadRequest reads the head of a request. b begins with it; scanned is how many
// bytes of b an earlier call has seen, 0 at first. While the Kind is More the
// caller reads on; what can be refused early is. It is safe for concurrent use.
func ReadRequest(b []byte, scanned int, l Limits) (r Request) {
	l = l.withDefaults()
	start, cause := skipLines(b)
	if cause != NoCause {
		return r.malformed(cause)
	}
	if kind, cause := protocol(b[start:]); kind != More {
		return Request{Kind: kind, Cause: cause}
	}
	end := HeadEnd(b, scanned)
	if end == 0 || end > l.Head {
		return r.unfinished(b, start, scanned, end, l)
	}
	p := requestParser{b: b[:end], at: start, limits: l}
	p.r.Start, p.r.Length = start, end
	return p.parse()
}

func (r Request) malformed(c Cause) Request { return Request{Kind: Malformed, Cause: c} }

// unfinished refuses what has become too long, and a request line that is none
// once it is whole; otherwise it asks for more.
func (r Request) unfinished(b []byte, start, scanned, end int, l Limits) Request {
	if end > l.Head || len(b) >= l.Head {
		return r.malformed(TooLong)
	}
	i := bytes.IndexByte(b[start:], '\n')
	switch {
	case i < 0 && len(b)-start > l.Line:
		return r.malformed(LineTooLong)
	case i >= 0 && start+i >= scanned:
		p := requestParser{b: b, at: start, limits: l}
		if cause := p.requestLine(); cause != NoCause {
			return r.malformed(cause)
		}
	}
	return r
}

// skipLines steps over empty lines before a request, of which RFC 9112 §2.2
// allows one and browsers of old sent two.
func skipLines(b []byte) (start int, c Cause) {
	for n := 0; start < len(b); start += 2 {
		switch {
		case b[start] == '\n':
			return 0, BadRequestLine
		case b[start] != '\r', len(b) == start+1:
			return start, NoCause
		case b[start+1] != '\n':
			return 0, BadRequestLine
		}
		if n++; n > 2 {
			return 0, BadRequestLine
		}
	}
	return start, NoCause
}

// preface is the beginning of HTTP/2 with prior knowledge, RFC 9113 §3.4.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// protocol tells what is no HTTP/1 from its first bytes; More if it may be.
func protocol(b []byte) (Kind, Cause) {
	switch {
	case len(b) == 0:
		return More, NoCause
	case b[0] == typeHandshake:
		return Other, TLS
	case b[0] >= 0x80:
		return Other, Unknown
	case len(b) >= 16 && string(b[:16]) == preface[:16]:
		return Other, HTTP2
	case !isToken[b[0]]:
		if b[0] < ' ' && b[0] != '\r' {
			return Other, Unknown
		}
		if b[0] == '\r' {
			return More, NoCause // skipLines waits for its end
		}
		return Malformed, BadRequestLine
	}
	return More, NoCause
}

// Field returns the value of the first field of a name, which is in lower case;
// nil if there is none. b is what the request was read from.
func (r Request) Field(b []byte, name string) []byte {
	for rest := b[r.Target.To:r.Length]; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 || i+1+len(name) >= len(rest) {
			return nil
		}
		rest = rest[i+1:]
		if rest[len(name)] == ':' && equalFold(rest[:len(name)], name) {
			value := rest[len(name)+1:]
			return trimBytes(value[:max(0, bytes.IndexByte(value, '\r'))])
		}
	}
}

// Fields lists the fields in the order of the head, names as they came and values
// without blanks around. b is what the request was read from.
func (r *Request) Fields(b []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		rest := b[r.Target.To:r.Length]
		rest = rest[bytes.IndexByte(rest, '\n')+1:]
		for {
			end := bytes.IndexByte(rest, '\r')
			colon := bytes.IndexByte(rest[:max(0, end)], ':')
			if colon < 0 {
				return // the empty line
			}
			if !yield(rest[:colon], trimBytes(rest[colon+1:end])) {
				return
			}
			rest = rest[end+2:]
		}
	}
}

// acmePath is the path of HTTP-01 challenges, RFC 8555 §8.3.
const acmePath = "/.well-known/acme-challenge/"

// IsACME reports whether a path is that of an HTTP-01 challenge.
func IsACME(path []byte) bool {
	return len(path) > len(acmePath) && string(path[:len(acmePath)]) == acmePath
}
