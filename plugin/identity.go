package icp

import (
	"encoding/binary"

	"github.com/dchest/siphash"
	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/registry/edge"
)

// identity is all that the outcome of a message depends on: what is asked, what
// the answer says, how the client is treated, and the data that it is judged by.
type identity struct {
	fingerprint
	generation edge.Generation
}

// fingerprint is the hash of an identity: SipHash-2-4 with 128 bits of output and
// a random key of the process. Without the key nobody can make two messages that
// share one: that would be to break the function.
type fingerprint struct{ h0, h1 uint64 }

// identify returns the identity of a message. It reports false for one that is not
// to be remembered: that which is rare, whose outcome hangs on more than one name,
// or which is judged at no cost.
func (in *inspector) identify(m *dns.Msg) (id identity, ok bool) {
	t := in.icp.memo
	if t == nil || in.outer != nil || m.Opcode != dns.OpcodeQuery {
		return id, false
	}
	if id.generation, ok = in.edge.Generation(); !ok {
		return id, false
	}
	var e encoding
	if !e.head(in, &id) || !e.answer(m.Answer) || !silent(m.Ns) || !silent(m.Extra) {
		return id, false
	}
	id.h0, id.h1 = siphash.Hash128(t.k0, t.k1, e.b[:e.n])
	return id, true
}

// silent reports whether a section beside the answer holds only records that
// carry no address and lead to none, so that it has no part in the outcome.
func silent(rrs []dns.RR) bool {
	for _, rr := range rrs {
		switch rr := rr.(type) {
		case *dns.OPT, *dns.SOA, *dns.NS, *dns.RRSIG, *dns.NSEC, *dns.NSEC3, *dns.DS:
			if carries(rr.Header().Rrtype) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// encoding writes an identity as bytes, no two of them the same way: everything
// of variable length stands behind its length.
type encoding struct {
	n int // of b are written
	b [maxEncoding + spare]byte
}

const (
	// maxEncoding is enough for a name of usual length with a dozen of addresses or
	// an alias or two. What takes more is judged each time.
	maxEncoding = 256
	// spare is what may be read and written behind the end, eight bytes at a time.
	spare = 8
)

// The bytes that records begin with.
const (
	encodedAddress byte = iota + 1
	encodedAlias
	encodedSignature
)

// head writes what is no record.
func (e *encoding) head(in *inspector, id *identity) bool {
	born, view, data := id.generation.Numbers()
	binary.LittleEndian.PutUint64(e.b[0:], born)
	binary.LittleEndian.PutUint64(e.b[8:], view)
	binary.LittleEndian.PutUint64(e.b[16:], data)
	binary.LittleEndian.PutUint16(e.b[24:], in.question[0].Qtype)
	e.b[26] = byte(in.mode)
	e.n = 27
	return e.name(in.question[0].Name)
}

// answer writes the records of the answer section, one after the other. It reports
// false for one without any address, too: nothing has to be looked up for it.
func (e *encoding) answer(rrs []dns.RR) bool {
	addresses := 0
	for _, rr := range rrs {
		ok := false
		switch rr := rr.(type) {
		case *dns.A:
			addresses++
			ok = rr.Hdr.Rrtype == dns.TypeA && e.record(encodedAddress, rr.Hdr.Name) && e.bytes(rr.A)
		case *dns.AAAA:
			addresses++
			ok = rr.Hdr.Rrtype == dns.TypeAAAA && e.record(encodedAddress, rr.Hdr.Name) && e.bytes(rr.AAAA)
		case *dns.CNAME:
			ok = rr.Hdr.Rrtype == dns.TypeCNAME && e.record(encodedAlias, rr.Hdr.Name) && e.name(rr.Target)
		case *dns.RRSIG:
			ok = rr.Hdr.Rrtype == dns.TypeRRSIG && e.record(encodedSignature, "")
		}
		if !ok {
			return false
		}
	}
	return addresses > 0
}

// record writes how a record begins.
func (e *encoding) record(kind byte, owner string) bool {
	if e.n >= maxEncoding {
		return false
	}
	e.b[e.n] = kind
	e.n++
	return e.name(owner)
}

// bytes writes bytes as they are.
func (e *encoding) bytes(b []byte) bool {
	if e.n+1+len(b) > maxEncoding {
		return false
	}
	e.b[e.n] = byte(len(b))
	copy(e.b[e.n+1:], b)
	e.n += 1 + len(b)
	return true
}

// name writes a name in lower case. One with an escape or with bytes beyond ASCII
// is refused: whether two of them are the same is not so easily told.
func (e *encoding) name(s string) bool {
	if e.n+1+len(s) > maxEncoding {
		return false
	}
	e.b[e.n] = byte(len(s))
	text := e.b[e.n+1:]
	e.n += 1 + copy(text, s)
	odd := uint64(0)
	for i := 0; i < len(s); i += 8 {
		word := binary.LittleEndian.Uint64(text[i:])
		odd |= word&eighths | escapes(word)
		binary.LittleEndian.PutUint64(text[i:], word|capitals(word)>>2)
	}
	return odd == 0
}

// eighths has the highest bit of every byte. The two functions below set it for
// bytes of ASCII; what they say of others is refused anyway.
const (
	eighths = 0x8080808080808080
	ones    = 0x0101010101010101
)

// capitals marks the bytes that are capital letters; a quarter of the mark is what
// tells them from small ones.
func capitals(word uint64) uint64 {
	low := word &^ eighths
	return (low + (0x80-'A')*ones) &^ (low + (0x7f-'Z')*ones) & eighths
}

// escapes marks the bytes that are backslashes.
func escapes(word uint64) uint64 {
	low := (word ^ '\\'*ones) &^ eighths
	return eighths &^ (low + 0x7f*ones)
}
