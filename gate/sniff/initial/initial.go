// Package initial makes and opens Initial packets of QUIC by the book, for tests
// and benchmarks: also those that no client sends. It shares no code with the gate.
package initial

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
)

// The versions that it knows.
const (
	V1 uint32 = 1
	V2 uint32 = 0x6b3343cf
)

// Packet is an Initial packet without its protection. The zero value is one of
// version 1 with number 0 in one byte and no frames.
type Packet struct {
	Version    uint32 // default V1
	DCID, SCID []byte
	Token      []byte
	Number     uint64
	NumberSize int // on the wire, 1 to 4; default 1
	// Key is the connection id that the keys come of; default DCID.
	Key []byte
	// Reserved are the bits of the first byte that must be zero.
	Reserved byte
	Payload  []byte
	// Size is what Payload is padded to, so that the packet has so many bytes;
	// 0 leaves it as it is.
	Size int
	// Server has it sealed with the keys of the server.
	Server bool
}

// keys are what protects packets.
type keys struct {
	aead cipher.AEAD
	raw  cipher.Block // of aead
	iv   []byte
	hp   cipher.Block
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// keysOf follows RFC 9001 §5.2 and RFC 9369 §3.3 with crypto/hkdf.
func keysOf(version uint32, id []byte, server bool) keys {
	salt, prefix := "38762cf7f55934b34d179ae6a4c80cadccbb7f0a", "quic "
	if version == V2 {
		salt, prefix = "0dede3def700a6db819381be6e269dcbf9bd2ed9", "quicv2 "
	}
	side := "client in"
	if server {
		side = "server in"
	}
	secret := must(hkdf.Extract(sha256.New, id, must(hex.DecodeString(salt))))
	secret = expand(secret, side, 32)
	raw := must(aes.NewCipher(expand(secret, prefix+"key", 16)))
	return keys{
		aead: must(cipher.NewGCM(raw)),
		raw:  raw,
		iv:   expand(secret, prefix+"iv", 12),
		hp:   must(aes.NewCipher(expand(secret, prefix+"hp", 16))),
	}
}

// expand is HKDF-Expand-Label of RFC 8446 §7.1.
func expand(secret []byte, label string, size int) []byte {
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(append(append(info, byte(len(label))), label...), 0)
	return must(hkdf.Expand(sha256.New, secret, string(info), size))
}

// nonce is the number, added to the vector.
func (k keys) nonce(number uint64) []byte {
	n := slices.Clone(k.iv)
	for i := range 8 {
		n[len(n)-1-i] ^= byte(number >> (8 * i))
	}
	return n
}

// Varint is a number in the shortest of its forms.
func Varint(n uint64) []byte {
	switch {
	case n < 1<<6:
		return []byte{byte(n)}
	case n < 1<<14:
		return binary.BigEndian.AppendUint16(nil, uint16(n)|1<<14)
	case n < 1<<30:
		return binary.BigEndian.AppendUint32(nil, uint32(n)|2<<30)
	}
	return binary.BigEndian.AppendUint64(nil, n|3<<62)
}

// Crypto is a CRYPTO frame.
func Crypto(offset int, data []byte) []byte {
	return slices.Concat([]byte{6}, Varint(uint64(offset)), Varint(uint64(len(data))), data)
}

// typed is the first byte of a long header, before its lowest four bits.
func typed(version uint32, kind byte) byte {
	if version == V2 {
		kind = (kind + 1) & 3
	}
	return 0xc0 | kind<<4
}

// Header is what long headers have in common: the first byte, of a kind as
// version 1 counts them, the version and the ids.
func Header(version uint32, kind byte, dcid, scid []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{typed(version, kind)}, version)
	b = append(append(b, byte(len(dcid))), dcid...)
	return append(append(b, byte(len(scid))), scid...)
}

// Seal is the packet with its protection.
func (p Packet) Seal() []byte {
	if p.Version == 0 {
		p.Version = V1
	}
	if p.NumberSize == 0 {
		p.NumberSize = 1
	}
	if p.Key == nil {
		p.Key = p.DCID
	}
	head := append(Header(p.Version, 0, p.DCID, p.SCID), Varint(uint64(len(p.Token)))...)
	head = append(head, p.Token...)
	payload := slices.Clone(p.Payload)
	if p.Size > 0 {
		have := len(head) + 2 + p.NumberSize + len(payload) + 16
		payload = append(payload, make([]byte, max(0, p.Size-have))...)
	}
	length := binary.BigEndian.AppendUint16(nil, uint16(p.NumberSize+len(payload)+16)|1<<14)
	head = append(head, length...)
	head[0] |= byte(p.NumberSize-1) | p.Reserved
	at := len(head)
	head = append(head, binary.BigEndian.AppendUint32(nil, uint32(p.Number))[4-p.NumberSize:]...)
	k := keysOf(p.Version, p.Key, p.Server)
	b := append(head, k.aead.Seal(nil, k.nonce(p.Number), payload, head)...)
	mask := make([]byte, 16)
	k.hp.Encrypt(mask, b[at+4:at+20])
	b[0] ^= mask[0] & 0x0f
	for i := range p.NumberSize {
		b[at+i] ^= mask[1+i]
	}
	return b
}

// ErrNotOpened is what Open returns for whatever is no Initial packet with keys
// of the id.
var ErrNotOpened = errors.New("no Initial packet that opens")

// Open takes the protection off the packet that b begins with; the number is the
// one that is on the wire. key is the id that the keys come of.
func Open(b, key []byte, server bool) (p Packet, rest []byte, err error) {
	defer func() { // whatever is cut short
		if recover() != nil {
			err = ErrNotOpened
		}
	}()
	p = Packet{Version: binary.BigEndian.Uint32(b[1:]), Server: server, Key: key}
	if p.Version != V1 && p.Version != V2 || b[0]&0x80 == 0 || (b[0]^typed(p.Version, 0))&0x30 != 0 {
		return p, nil, ErrNotOpened
	}
	at := 5
	vector := func(n uint64) []byte {
		v := b[at : at+int(n)]
		at += int(n)
		return slices.Clone(v)
	}
	varint := func() (n uint64) {
		size := 1 << (b[at] >> 6)
		for i, c := range vector(uint64(size)) {
			if i == 0 {
				c &= 0x3f
			}
			n = n<<8 | uint64(c)
		}
		return n
	}
	p.DCID = vector(uint64(vector(1)[0]))
	p.SCID = vector(uint64(vector(1)[0]))
	p.Token = vector(varint())
	length := varint()
	end := at + int(length)
	rest = b[end:]
	b = slices.Clone(b[:end])
	k := keysOf(p.Version, key, server)
	mask := make([]byte, 16)
	k.hp.Encrypt(mask, b[at+4:at+20])
	b[0] ^= mask[0] & 0x0f
	p.Reserved = b[0] & 0x0c
	p.NumberSize = int(b[0]&3) + 1
	for i := range p.NumberSize {
		b[at+i] ^= mask[1+i]
		p.Number = p.Number<<8 | uint64(b[at+i])
	}
	at += p.NumberSize
	p.Payload, err = k.aead.Open(nil, k.nonce(p.Number), b[at:], b[:at])
	if err != nil {
		return p, nil, ErrNotOpened
	}
	return p, rest, nil
}

// Retry is a Retry packet with its tag, RFC 9001 §5.8.
func Retry(version uint32, dcid, scid, token, first []byte) []byte {
	key, nonce := "be0c690b9f66575a1d766b54e368c84e", "461599d35d632bf2239825bb"
	if version == V2 {
		key, nonce = "8fb4b01b56ac48e260fbcbcead7ccc92", "d86969bc2d7c6d9990efb04a"
	}
	b := append(Header(version, 3, dcid, scid), token...)
	b[0] |= 0x0f // unused bits, as in the examples of the RFCs
	aead := must(cipher.NewGCM(must(aes.NewCipher(must(hex.DecodeString(key))))))
	pseudo := slices.Concat([]byte{byte(len(first))}, first, b)
	return append(b, aead.Seal(nil, must(hex.DecodeString(nonce)), nil, pseudo)...)
}
