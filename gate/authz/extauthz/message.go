package extauthz

import "google.golang.org/protobuf/encoding/protowire"

// message is a check as it came, of which only what a question needs is looked at:
// the generated types would copy every header of every request. The bytes are
// those of the check. The zero value is an empty one.
type message struct {
	http                bool // it is about a request
	host                []byte
	hosts               hostHeaders
	path, scheme        []byte
	head                bool
	accept, language    []byte
	sni                 []byte
	source, destination peerAddr
	addr, product       []byte // of context_extensions
	hasAddr             bool
}

// The numbers of fields in envoy/service/auth/v3/attribute_context.proto and the
// files that it imports.
const (
	checkAttributes = 1

	attributesSource      = 1
	attributesDestination = 2
	attributesRequest     = 4
	attributesExtensions  = 10
	attributesTLSSession  = 12

	requestHTTP = 2

	httpMethod    = 2
	httpHeaders   = 3
	httpPath      = 4
	httpHost      = 5
	httpScheme    = 6
	httpHeaderMap = 13

	headerMapHeaders = 1

	headerKey   = 1 // of the entry of a map as well
	headerValue = 2
	headerRaw   = 3

	tlsSNI = 1

	peerAddress = 1

	addressSocket   = 1
	addressPipe     = 2
	addressInternal = 3

	socketAddress = 2
)

// next takes the field in front of b. One that holds no bytes has number 0: none
// that is looked for is of another type, and what has another type is none of
// them.
func next(b []byte) (number protowire.Number, value, rest []byte, ok bool) {
	number, kind, n := protowire.ConsumeTag(b)
	if n < 0 {
		return 0, nil, nil, false
	}
	b = b[n:]
	if kind == protowire.BytesType {
		if value, n = protowire.ConsumeBytes(b); n < 0 {
			return 0, nil, nil, false
		}
		return number, value, b[n:], true
	}
	if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
		return 0, nil, nil, false
	}
	return 0, nil, b[n:], true
}

// read reads a check. What comes twice counts as protobuf has it: messages add up,
// and of others the last one counts.
func (m *message) read(b []byte) bool {
	return each(b, func(number protowire.Number, v []byte) bool {
		return number != checkAttributes || each(v, m.attribute)
	})
}

// each takes one field of a message after the other, until f reports false.
func each(b []byte, f func(protowire.Number, []byte) bool) bool {
	for len(b) > 0 {
		number, v, rest, ok := next(b)
		if !ok || !f(number, v) {
			return false
		}
		b = rest
	}
	return true
}

func (m *message) attribute(number protowire.Number, v []byte) bool {
	switch number {
	case attributesSource:
		return each(v, m.source.peer)
	case attributesDestination:
		return each(v, m.destination.peer)
	case attributesRequest:
		return each(v, func(number protowire.Number, v []byte) bool {
			if number != requestHTTP {
				return true
			}
			m.http = true
			return each(v, m.request)
		})
	case attributesExtensions:
		return m.extension(v)
	case attributesTLSSession:
		return each(v, func(number protowire.Number, v []byte) bool {
			if number == tlsSNI {
				m.sni = v
			}
			return true
		})
	}
	return true
}

func (m *message) request(number protowire.Number, v []byte) bool {
	switch number {
	case httpMethod:
		m.head = string(v) == "HEAD"
	case httpHost:
		m.host = v
	case httpPath:
		m.path = v
	case httpScheme:
		m.scheme = v
	case httpHeaders:
		h, ok := readHeader(v)
		return ok && m.header(h)
	case httpHeaderMap:
		return each(v, func(number protowire.Number, v []byte) bool {
			if number != headerMapHeaders {
				return true
			}
			h, ok := readHeader(v)
			return ok && m.header(h)
		})
	}
	return true
}

// header is a header of a request, or an entry of a map.
type header struct{ key, value, raw []byte }

func readHeader(b []byte) (h header, ok bool) {
	for len(b) > 0 {
		number, v, rest, ok := next(b)
		if !ok {
			return h, false
		}
		switch number {
		case headerKey:
			h.key = v
		case headerValue:
			h.value = v
		case headerRaw:
			h.raw = v
		}
		b = rest
	}
	return h, true
}

// text is what a header says; a raw value is there in place of another.
func (h *header) text() []byte {
	if len(h.raw) > 0 {
		return h.raw
	}
	return h.value
}

func (m *message) header(h header) bool {
	switch {
	case same(h.key, ":authority") || same(h.key, "host"):
		m.hosts.take(h.text())
	case string(h.key) == "accept":
		m.accept = h.text()
	case string(h.key) == "accept-language":
		m.language = h.text()
	}
	return true
}

// hostHeaders are the headers that name the host. The zero value is none.
type hostHeaders struct {
	text         []byte
	some, differ bool
}

func (h *hostHeaders) take(text []byte) {
	if h.some && !same(h.text, text) {
		h.differ = true
	}
	h.text, h.some = text, true
}

func (m *message) extension(b []byte) bool {
	h, ok := readHeader(b)
	switch string(h.key) {
	case extensionAddr:
		m.addr, m.hasAddr = h.value, true
	case extensionProduct:
		m.product = h.value
	}
	return ok
}

// peerAddr is the address of a peer's socket. The zero value is none.
type peerAddr struct{ text []byte }

func (p *peerAddr) peer(number protowire.Number, v []byte) bool {
	return number != peerAddress || each(v, p.address)
}

// address takes one of the kinds of addresses, the last of which counts.
func (p *peerAddr) address(number protowire.Number, v []byte) bool {
	switch number {
	case addressSocket:
		return each(v, func(number protowire.Number, v []byte) bool {
			if number == socketAddress {
				p.text = v
			}
			return true
		})
	case addressPipe, addressInternal:
		p.text = nil
		return each(v, func(protowire.Number, []byte) bool { return true })
	}
	return true
}
