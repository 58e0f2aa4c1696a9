// Package hello builds ClientHellos by hand, for tests: also those that no client
// sends.
package hello

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Spec builds hellos by hand, also those that no client sends. The zero
// value is a small proper one without a name.
type Spec struct {
	Version      uint16   // legacy version; default 0x0303
	Session      []byte   // default 32 bytes
	Suites       []byte   // default two of them
	Methods      []byte   // default null
	Extensions   [][]byte // each with its number and length
	NoExtensions bool     // no block of extensions at all
	Trailing     []byte   // behind the extensions
}

// Vec puts the length of b before it, in so many bytes.
func Vec(size int, b []byte) []byte {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(b)))
	return append(slices.Clone(n[4-size:]), b...)
}

// Ext is an extension.
func Ext(kind uint16, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, kind), Vec(2, body)...)
}

// SNI is the extension with one host name.
func SNI(name string) []byte { return SNIOf(Entry(0, name)) }

// SNIOf is the extension with a list of entries.
func SNIOf(entries ...[]byte) []byte { return Ext(0, Vec(2, slices.Concat(entries...))) }

// Entry is one name of a type.
func Entry(kind byte, name string) []byte { return append([]byte{kind}, Vec(2, []byte(name))...) }

// Message is the handshake message.
func (s Spec) Message() []byte {
	if s.Version == 0 {
		s.Version = 0x0303
	}
	if s.Session == nil {
		s.Session = make([]byte, 32)
	}
	if s.Suites == nil {
		s.Suites = []byte{0x13, 0x01, 0xc0, 0x2f}
	}
	if s.Methods == nil {
		s.Methods = []byte{0}
	}
	body := binary.BigEndian.AppendUint16(nil, s.Version)
	body = append(body, make([]byte, 32)...)
	body = append(body, Vec(1, s.Session)...)
	body = append(body, Vec(2, s.Suites)...)
	body = append(body, Vec(1, s.Methods)...)
	if !s.NoExtensions {
		body = append(body, Vec(2, slices.Concat(s.Extensions...))...)
	}
	body = append(body, s.Trailing...)
	return append([]byte{1}, Vec(3, body)...)
}

// Records cuts a message into Records of the sizes given, and the rest into one.
func Records(msg []byte, sizes ...int) (b []byte) {
	for _, n := range append(sizes, len(msg)) {
		for n = min(n, len(msg)); ; {
			k := min(n, 1<<14)
			b = append(append(b, 22, 3, 1), Vec(2, msg[:k])...)
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

// For is a small proper hello, in one record.
func For(name string) []byte {
	return Records(Spec{Extensions: [][]byte{SNI(name), ALPN("h2", "http/1.1"), SupportedVersions, Groups, SigAlgs, KeyShare}}.Message())
}

// What crypto/tls wants to see in a hello of TLS 1.3.
var (
	SupportedVersions = Ext(43, Vec(1, []byte{3, 4, 3, 3}))
	Groups            = Ext(10, Vec(2, []byte{0, 29}))
	SigAlgs           = Ext(13, Vec(2, []byte{4, 3, 8, 4}))
	KeyShare          = Ext(51, Vec(2, append([]byte{0, 29}, Vec(2, make([]byte, 32))...)))
)

// ALPN is the extension with a list of protocols.
func ALPN(protocols ...string) []byte {
	var list []byte
	for _, p := range protocols {
		list = append(list, Vec(1, []byte(p))...)
	}
	return Ext(16, Vec(2, list))
}

// Retry is the message by which a server asks for a second hello, RFC 8446 §4.1.4.
func Retry() []byte {
	random := sha256.Sum256([]byte("HelloRetryRequest"))
	return answer(random[:], Ext(51, []byte{0, 24}))
}

// Server is the hello of a server.
func Server() []byte {
	return answer(make([]byte, 32), Ext(51, append([]byte{0, 29}, Vec(2, make([]byte, 32))...)))
}

func answer(random, keyShare []byte) []byte {
	body := append([]byte{3, 3}, random...)
	body = append(body, Vec(1, make([]byte, 32))...)
	body = append(body, 0x13, 0x01, 0)
	body = append(body, Vec(2, append(Ext(43, []byte{3, 4}), keyShare...))...)
	return append([]byte{2}, Vec(3, body)...)
}
