package hello

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"slices"
)

// ECH makes a key of encrypted client hello for a public name, as a server holds
// it, and the list of configurations that clients have from DNS (RFC 9849 §4).
func ECH(public string) (tls.EncryptedClientHelloKey, []byte, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return tls.EncryptedClientHelloKey{}, nil, err
	}
	config := Ext(0xfe0d, slices.Concat([]byte{7, 0, 0x20}, Vec(2, key.PublicKey().Bytes()), // config id, DHKEM(X25519)
		Vec(2, []byte{0, 1, 0, 1}), []byte{0}, Vec(1, []byte(public)), Vec(2, nil))) // HKDF-SHA256 with AES-128-GCM; no padding
	return tls.EncryptedClientHelloKey{Config: config, PrivateKey: key.Bytes()}, Vec(2, config), nil
}
