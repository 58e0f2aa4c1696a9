package sniff

import (
	"encoding/binary"
	"net/netip"
)

// Numbers of extensions, as IANA has them.
const (
	extServerName = 0
	extALPN       = 16
	extECH        = 0xfe0d
)

// nameTypeHost is the only type of a server name, RFC 6066 §3.
const nameTypeHost = 0

// parse reads the body of a hello: version, random, session id, cipher suites,
// compression methods, and extensions, which may be absent (SSL 3).
func parse(msg []byte) (h Hello) {
	r := fields{b: msg}
	version := r.take(2)
	r.take(32)
	session, ok := r.vector(1)
	ok = ok && len(session) <= maxSessionID
	suites, ok2 := r.vector(2)
	methods, ok3 := r.vector(1)
	if version == nil || version[0] != 3 || !ok || !ok2 || !ok3 ||
		len(suites) == 0 || len(suites)%2 != 0 || len(methods) == 0 {
		return h.malformed(BadHello)
	}
	h.Kind = NoName
	if len(r.b) == 0 {
		return h
	}
	extensions, ok := r.vector(2)
	if !ok || len(r.b) != 0 {
		return Hello{}.malformed(BadHello)
	}
	return h.extensions(extensions)
}

// extensions reads all of them; an order is not prescribed, and clients shuffle.
func (h Hello) extensions(b []byte) Hello {
	const head = 4 // number and length
	var seen seen
	for len(b) > 0 {
		if len(b) < head {
			return h.malformed(BadHello)
		}
		n, end := binary.BigEndian.Uint16(b), head+int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < end {
			return h.malformed(BadHello)
		}
		body := b[head:end]
		b = b[end:]
		if !seen.first(n) {
			return h.malformed(BadExtensions)
		}
		switch n {
		case extServerName:
			if h = h.serverName(body); h.Kind == Malformed {
				return h
			}
		case extALPN:
			h.ALPN, _ = (&fields{b: body}).vector(2)
		case extECH:
			h.ECH = true
		}
	}
	return h
}

// serverName reads the list of names, of which there must be one, of the only
// type there is. RFC 6066 §3 forbids two of a type; other types were never
// defined, and parsers that step over them do not agree how.
func (h Hello) serverName(b []byte) Hello {
	r := fields{b: b}
	list, ok := r.vector(2)
	if !ok || len(r.b) != 0 || len(list) == 0 {
		return h.bad(BadServerName, AlertDecodeError)
	}
	r.b = list
	kind := r.take(1)
	name, ok := r.vector(2)
	switch {
	case !ok:
		return h.bad(BadServerName, AlertDecodeError)
	case kind[0] != nameTypeHost, len(r.b) != 0:
		return h.malformed(BadServerName)
	}
	h.Name = name
	switch h.Kind = KindOf(name); h.Kind {
	case Malformed, NoName:
		return h.malformed(BadName)
	}
	return h
}

// KindOf tells what a host is that stands alone: a Name, a Literal, nothing
// (NoName), or Malformed. A name has labels of 1 to 63 letters, digits, hyphens
// and underscores, at most 253 bytes in all, and perhaps one trailing dot; what
// ends in a number, decimal or with 0x, is no name (WHATWG URL, "ends in a
// number"): it is an address in the dotted form of four, or malformed. IPv6
// addresses stand without brackets.
func KindOf(host []byte) Kind {
	if len(host) == 0 {
		return NoName
	}
	name := host
	if name[len(name)-1] == '.' {
		name = name[:len(name)-1]
	}
	if len(name) > maxName || len(name) == 0 {
		return Malformed
	}
	start, digits := 0, true // of the label
	for i, c := range name {
		switch class[c] {
		case classDot:
			if i == start || i-start > maxLabel {
				return Malformed
			}
			start, digits = i+1, true
		case classDigit:
		case classLetter:
			digits = false
		default:
			return literal(host)
		}
	}
	switch last := name[start:]; {
	case len(last) == 0 || len(last) > maxLabel:
		return Malformed
	case digits:
		return literal(name)
	case isHex(last):
		return Malformed
	}
	return Name
}

// isHex reports whether a label is a number with 0x before it.
func isHex(label []byte) bool {
	if len(label) < 2 || label[0] != '0' || label[1]|0x20 != 'x' {
		return false
	}
	for _, c := range label[2:] {
		if _, ok := hexDigit(c); !ok {
			return false
		}
	}
	return true
}

// literal tells an address from what is malformed. It is off the usual path.
func literal(b []byte) Kind {
	const longest = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
	if len(b) > longest {
		return Malformed
	}
	var buf [longest]byte
	a, err := netip.ParseAddr(string(buf[:copy(buf[:], b)]))
	if err != nil || a.Zone() != "" {
		return Malformed
	}
	return Literal
}

// Limits of names, RFC 1035 §2.3.4.
const (
	maxName  = 253
	maxLabel = 63
)

// The classes of bytes in names.
const (
	classOther = iota
	classLetter
	classDigit
	classDot
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-', c == '_':
			t[c] = classLetter
		case '0' <= c && c <= '9':
			t[c] = classDigit
		case c == '.':
			t[c] = classDot
		}
	}
	return t
}()

// fields takes a message apart.
type fields struct{ b []byte }

// take returns the next n bytes; nil if there are fewer.
func (f *fields) take(n int) []byte {
	if len(f.b) < n {
		f.b = nil
		return nil
	}
	part := f.b[:n]
	f.b = f.b[n:]
	return part
}

// vector returns what follows a length of so many bytes.
func (f *fields) vector(size int) ([]byte, bool) {
	head := f.take(size)
	if head == nil {
		return nil, false
	}
	n := 0
	for _, c := range head {
		n = n<<8 | int(c)
	}
	if len(f.b) < n {
		return nil, false
	}
	return f.take(n), true
}

// seen notes the extensions of a hello. Those with low numbers, nearly all, are
// bits; there is room for maxHigh others, of which browsers send five.
type seen struct {
	low  uint64
	high [maxHigh]uint16
	n    int
}

const maxHigh = 64

// first reports whether a number comes for the first time, and can be noted.
func (s *seen) first(n uint16) bool {
	if n < 64 {
		old := s.low
		s.low |= 1 << n
		return old != s.low
	}
	for _, h := range s.high[:s.n] {
		if h == n {
			return false
		}
	}
	if s.n == maxHigh {
		return false
	}
	s.high[s.n] = n
	s.n++
	return true
}
