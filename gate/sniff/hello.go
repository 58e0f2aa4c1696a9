package sniff

import "encoding/binary"

// Limits of a hello. MaxHello is what crypto/tls takes (maxHandshake); hellos
// with post-quantum keys have some 2 KB. MaxRecords lets nobody make a parser
// start over for every byte: no client cuts a hello into more than a few.
const (
	MaxHello   = 64 << 10
	MaxRecords = 256
)

// Lengths of TLS 1.0 to 1.3 on the wire, RFC 8446 §4, §5.1.
const (
	recordHead    = 5
	handshakeHead = 4
	maxPlaintext  = 1 << 14
	typeHandshake = 22
	clientHello   = 1
	maxSessionID  = 32
)

// MaxHeld is the most bytes of a connection that a hello can take.
const MaxHeld = handshakeHead + MaxHello + MaxRecords*recordHead

// Hello is what ClientHello found. Its slices are parts of the buffers it was
// given.
type Hello struct {
	Kind  Kind
	Cause Cause
	// Alert is the description of the alert that answers a Malformed hello.
	Alert uint8
	// Name is the name or address as it arrived, of a Name or a Literal: letters,
	// digits, hyphens and underscores in labels, perhaps one trailing dot.
	Name []byte
	// ALPN is the list of protocols that the client offers, as it stands in its
	// extension: one byte of length and the protocol each.
	ALPN []byte
	// ECH reports that the client sent encrypted_client_hello (RFC 9849), in
	// earnest or as GREASE: which, nobody but the server can tell.
	ECH bool
	// Length is how many bytes of the connection the hello takes. What follows
	// is early data.
	Length int
}

func (h Hello) malformed(c Cause) Hello { return h.bad(c, c.Alert()) }

func (h Hello) bad(c Cause, alert uint8) Hello {
	return Hello{Kind: Malformed, Cause: c, Alert: alert}
}

// ClientHello reads the beginning of a connection as TLS. b is all that was read
// of it; join is used to put a hello together that lies in several records, and
// is grown where it is too short (keep it for the next connection; nil will do).
// The caller reads on and calls again while the Kind is More; what can be
// refused early is. It is safe for concurrent use with different buffers.
func ClientHello(b []byte, join *[]byte) Hello {
	if len(b) == 0 {
		return Hello{}
	}
	if c := notTLS(b); c != NoCause {
		return Hello{Kind: Other, Cause: c}
	}
	msg, used, h := message(b, join)
	if h.Kind != More || msg == nil {
		return h
	}
	h = parse(msg)
	if h.Kind != Malformed {
		h.Length = used
	}
	return h
}

// notTLS recognises other protocols by the first byte, or the first three.
func notTLS(b []byte) Cause {
	switch first := b[0]; {
	case first == typeHandshake:
		return NoCause
	case first >= 0x80 && len(b) > 2 && b[2] == clientHello, first == 0x80 && len(b) < 3:
		return SSLv2
	case 'A' <= first && first <= 'Z', 'a' <= first && first <= 'z', first == '\r', first == '\n':
		return HTTP
	}
	return Unknown
}

// message returns the body of the handshake message that b begins with, once all
// of its records are there, and how much of b they take. Until then msg is nil
// and the Hello tells whether to read on.
func message(b []byte, join *[]byte) (msg []byte, used int, h Hello) {
	at, have, want := 0, 0, -1 // have counts bytes of the message, want is -1 until its head is there
	single := true
	for n := 0; ; n++ {
		if n == MaxRecords {
			return nil, 0, h.malformed(TooManyParts)
		}
		rec := b[at:]
		cause := badRecord(rec)
		if cause != NoCause {
			return nil, 0, h.malformed(cause)
		}
		if len(rec) < recordHead {
			return nil, 0, h
		}
		length := int(binary.BigEndian.Uint16(rec[3:]))
		part := rec[recordHead:min(len(rec), recordHead+length)]
		if n == 0 {
			// The head of the message is judged as soon as it is there.
			want, h = head(part)
		} else if want < 0 {
			want, h = head(gathered(b, at+recordHead+len(part), join))
		}
		if h.Kind != More {
			return nil, 0, h
		}
		if have += len(part); want >= 0 && have > want {
			return nil, 0, h.malformed(BadSequence)
		}
		if len(part) < length {
			return nil, 0, h
		}
		at += recordHead + length
		if have == want {
			if !single {
				return gathered(b, at, join)[handshakeHead:], at, h
			}
			return b[recordHead+handshakeHead : at], at, h
		}
		single = false
	}
}

// badRecord checks as much of a record's head as there is.
func badRecord(rec []byte) Cause {
	switch {
	case len(rec) > 0 && rec[0] != typeHandshake:
		return BadSequence
	case len(rec) > 1 && rec[1] != 3: // RFC 8446 §5.1: the version must be ignored, but it is 3.x
		return BadRecord
	case len(rec) < recordHead:
		return NoCause
	}
	// Empty fragments of handshake messages are forbidden, RFC 8446 §5.1.
	if n := binary.BigEndian.Uint16(rec[3:]); n == 0 || n > maxPlaintext {
		return BadRecord
	}
	return NoCause
}

// head reads the head of the message from what there is of it; -1 where that is
// not enough.
func head(msg []byte) (length int, h Hello) {
	switch {
	case len(msg) > 0 && msg[0] != clientHello:
		return -1, h.malformed(BadSequence)
	case len(msg) < handshakeHead:
		return -1, h
	}
	n := int(msg[1])<<16 | int(msg[2])<<8 | int(msg[3])
	if n > MaxHello {
		return -1, h.malformed(TooLong)
	}
	return handshakeHead + n, h
}

// gathered joins the bodies of the records in b[:end], of which the last one may
// not be whole. They were checked before.
func gathered(b []byte, end int, join *[]byte) []byte {
	var own []byte
	if join == nil {
		join = &own
	}
	all := (*join)[:0]
	for at := 0; at+recordHead <= end; {
		length := int(binary.BigEndian.Uint16(b[at+3:]))
		at += recordHead
		all = append(all, b[at:min(end, at+length)]...)
		at += length
	}
	*join = all
	return all
}
