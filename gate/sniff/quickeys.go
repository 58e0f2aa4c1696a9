package sniff

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
)

// Sizes of AEAD_AES_128_GCM and of the sample for header protection, RFC 9001
// §5.3, §5.4.2.
const (
	keySize    = 16
	nonceSize  = 12
	tagSize    = 16
	sampleSize = 16
)

// quicLabels is what a version puts into the derivation of its keys.
type quicLabels struct {
	salt                        [20]byte // RFC 9001 §5.2, RFC 9369 §3.3.1
	client, server, key, iv, hp []byte   // ready for expand
	retryKey                    [keySize]byte
	retryNonce                  [nonceSize]byte // RFC 9001 §5.8, RFC 9369 §3.3.3
}

var labels = [2]quicLabels{
	{
		salt:   [20]byte{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
		client: label("client in", sha256.Size), server: label("server in", sha256.Size),
		key: label("quic key", keySize), iv: label("quic iv", nonceSize), hp: label("quic hp", keySize),
		retryKey:   [keySize]byte{0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e},
		retryNonce: [nonceSize]byte{0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb},
	},
	{
		salt:   [20]byte{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
		client: label("client in", sha256.Size), server: label("server in", sha256.Size),
		key: label("quicv2 key", keySize), iv: label("quicv2 iv", nonceSize), hp: label("quicv2 hp", keySize),
		retryKey:   [keySize]byte{0x8f, 0xb4, 0xb0, 0x1b, 0x56, 0xac, 0x48, 0xe2, 0x60, 0xfb, 0xcb, 0xce, 0xad, 0x7c, 0xcc, 0x92},
		retryNonce: [nonceSize]byte{0xd8, 0x69, 0x69, 0xbc, 0x2d, 0x7c, 0x6d, 0x99, 0x90, 0xef, 0xb0, 0x4a},
	},
}

// versionIndex is where labels has a version that is one of the two.
func versionIndex(version uint32) int {
	if version == QUICv2 {
		return 1
	}
	return 0
}

// label is the HkdfLabel of RFC 8446 §7.1 without context, and the 1 that counts
// the first block of HKDF-Expand.
func label(s string, size int) []byte {
	s = "tls13 " + s
	b := binary.BigEndian.AppendUint16(nil, uint16(size))
	b = append(append(b, byte(len(s))), s...)
	return append(b, 0, 1)
}

// quicKeys are the keys of one side's Initial packets. The zero value has none.
type quicKeys struct {
	aead cipher.AEAD
	hp   cipher.Block
	iv   [nonceSize]byte
}

// derive makes the keys of a connection's client or server from the id that the
// client chose, RFC 9001 §5.2.
func (k *quicKeys) derive(version uint32, id quicID, server bool, w *QUICWork) {
	l := &labels[versionIndex(version)]
	side := l.client
	if server {
		side = l.server
	}
	secret := w.mac.mac(w.initial(version, id), side)
	w.mac.key(&w.secret, secret[:])
	key, iv, hp := w.mac.mac(&w.secret, l.key), w.mac.mac(&w.secret, l.iv), w.mac.mac(&w.secret, l.hp)
	k.aead, k.hp = newGCM(key[:keySize]), newAES(hp[:keySize])
	copy(k.iv[:], iv[:])
}

// initial is the secret that an id gives both sides, as the key of a MAC. The last
// one is remembered: who opens what a client sends may have to answer it next.
func (w *QUICWork) initial(version uint32, id quicID) *macState {
	if w.initialOf != id || w.initialIn != version {
		w.mac.slow = !chained
		secret := w.mac.mac(&salted[versionIndex(version)], id.bytes())
		w.mac.key(&w.secretOf, secret[:])
		w.initialOf, w.initialIn = id, version
	}
	return &w.secretOf
}

// newAES makes a cipher of a key of the right length, which cannot fail.
func newAES(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return b
}

func newGCM(key []byte) cipher.AEAD {
	a, err := cipher.NewGCM(newAES(key))
	if err != nil {
		panic(err)
	}
	return a
}

// quicID is a connection id. The zero value is none, not the empty one.
type quicID struct {
	size uint8 // and one
	id   [MaxQUICID]byte
}

// newQUICID copies an id of up to 20 bytes.
func newQUICID(b []byte) (x quicID) {
	x.size = 1 + uint8(copy(x.id[:], b))
	return x
}

func (x *quicID) bytes() []byte { return x.id[:max(x.size, 1)-1] }

// keyRing remembers the keys of the ids that a client used last. A connection has
// one or two, in one version. The zero value is empty.
type keyRing struct {
	of [3]struct {
		version uint32
		id      quicID
		keys    quicKeys
	}
	next int
}

// get returns the client's keys that come of an id.
func (r *keyRing) get(version uint32, id quicID, w *QUICWork) *quicKeys {
	for i := range r.of {
		if x := &r.of[i]; x.id == id && x.version == version {
			return &x.keys
		}
	}
	x := &r.of[r.next]
	r.next = (r.next + 1) % len(r.of)
	x.version, x.id = version, id
	x.keys.derive(version, id, false, w)
	return &x.keys
}

// QUICWork is memory that opening packets takes, for one goroutine, which uses
// the same for all its connections. The zero value is ready.
type QUICWork struct {
	mask, sample [sampleSize]byte
	nonce        [nonceSize]byte
	head, plain  []byte
	ordered      []byte // into which streams are put in order, in turn

	mac       macWork
	secret    macState // of one side
	secretOf  macState // of initialOf, in the version initialIn
	initialOf quicID
	initialIn uint32
}

// open takes the protection off an Initial packet, if it opens. largest is the
// highest number that was opened before, -1 at first. The payload is valid until
// the next call, as is w.head, the header without its protection.
//
// A server that has seen fewer packets may read another number, which is another
// nonce, but of two nonces of one key only one opens a packet.
func (k *quicKeys) open(p *QUICPacket, largest int64, w *QUICWork) (payload []byte, number int64, ok bool) {
	copy(w.sample[:], p.Raw[p.Number+4:])
	k.hp.Encrypt(w.mask[:], w.sample[:])
	first := p.Raw[0] ^ w.mask[0]&0x0f
	size := int(first&3) + 1
	w.head = append(w.head[:0], p.Raw[:p.Number+size]...)
	w.head[0] = first
	cut := int64(0)
	for i := range size {
		w.head[p.Number+i] ^= w.mask[1+i]
		cut = cut<<8 | int64(w.head[p.Number+i])
	}
	number = nearest(cut, largest, 1<<(8*size))
	w.nonce = k.iv
	last := w.nonce[nonceSize-8:]
	binary.BigEndian.PutUint64(last, binary.BigEndian.Uint64(last)^uint64(number))
	payload, err := k.aead.Open(w.plain[:0], w.nonce[:], p.Raw[p.Number+size:], w.head)
	if err != nil {
		return nil, 0, false
	}
	w.plain = payload
	return payload, number, true
}

// nearest is the number that ends in cut and is next to largest+1, RFC 9000 §A.3.
func nearest(cut, largest, window int64) int64 {
	want := largest + 1
	n := want&^(window-1) | cut
	switch {
	case n <= want-window/2:
		return n + window
	case n > want+window/2 && n >= window:
		return n - window
	}
	return n
}
