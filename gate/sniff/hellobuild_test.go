package sniff_test

import (
	"encoding/binary"
	"slices"
)

// helloSpec builds hellos by hand, also those that no client sends. The zero
// value is a small proper one without a name.
type helloSpec struct {
	version    uint16   // legacy version; default 0x0303
	session    []byte   // default 32 bytes
	suites     []byte   // default two of them
	methods    []byte   // default null
	extensions [][]byte // each with its number and length
	noExt      bool     // no block of extensions at all
	trailing   []byte   // behind the extensions
}

func vec(size int, b []byte) []byte {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(b)))
	return append(slices.Clone(n[4-size:]), b...)
}

func ext(kind uint16, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, kind), vec(2, body)...)
}

// sni is the extension with one host name.
func sni(name string) []byte { return sniOf(entryOf(0, name)) }

func sniOf(entries ...[]byte) []byte { return ext(0, vec(2, slices.Concat(entries...))) }

func entryOf(kind byte, name string) []byte { return append([]byte{kind}, vec(2, []byte(name))...) }

// message is the handshake message.
func (s helloSpec) message() []byte {
	if s.version == 0 {
		s.version = 0x0303
	}
	if s.session == nil {
		s.session = make([]byte, 32)
	}
	if s.suites == nil {
		s.suites = []byte{0x13, 0x01, 0xc0, 0x2f}
	}
	if s.methods == nil {
		s.methods = []byte{0}
	}
	body := binary.BigEndian.AppendUint16(nil, s.version)
	body = append(body, make([]byte, 32)...)
	body = append(body, vec(1, s.session)...)
	body = append(body, vec(2, s.suites)...)
	body = append(body, vec(1, s.methods)...)
	if !s.noExt {
		body = append(body, vec(2, slices.Concat(s.extensions...))...)
	}
	body = append(body, s.trailing...)
	return append([]byte{1}, vec(3, body)...)
}

// records cuts a message into records of the sizes given, and the rest into one.
func records(msg []byte, sizes ...int) (b []byte) {
	for _, n := range append(sizes, len(msg)) {
		for n = min(n, len(msg)); ; {
			k := min(n, 1<<14)
			b = append(append(b, 22, 3, 1), vec(2, msg[:k])...)
			msg, n = msg[k:], n-k
			if n == 0 {
				break
			}
		}
		if len(msg) == 0 {
			break
		}
	}
	return b
}

// helloFor is a small proper hello, in one record.
func helloFor(name string) []byte {
	return records(helloSpec{extensions: [][]byte{sni(name), alpn("h2", "http/1.1"), supportedVersions, groups, sigAlgs, keyShare}}.message())
}

// What crypto/tls wants to see in a hello of TLS 1.3.
var (
	supportedVersions = ext(43, vec(1, []byte{3, 4, 3, 3}))
	groups            = ext(10, vec(2, []byte{0, 29}))
	sigAlgs           = ext(13, vec(2, []byte{4, 3, 8, 4}))
	keyShare          = ext(51, vec(2, append([]byte{0, 29}, vec(2, make([]byte, 32))...)))
)

func alpn(protocols ...string) []byte {
	var list []byte
	for _, p := range protocols {
		list = append(list, vec(1, []byte(p))...)
	}
	return ext(16, vec(2, list))
}
