package feed

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

// KeyID tells the keys of a registry apart: the first 8 bytes of the SHA-256 of
// the public key. The zero value is no key.
type KeyID [8]byte

// String returns the id in hexadecimal.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

func idOf(public ed25519.PublicKey) (id KeyID) {
	sum := sha256.Sum256(public)
	copy(id[:], sum[:])
	return id
}

// Signer signs what a registry publishes, by Ed25519 (RFC 8032). It is immutable
// and safe for concurrent use. Signatures are a function of key and content, so
// that nodes with one key publish the same bytes.
type Signer struct {
	private ed25519.PrivateKey
	id      KeyID
}

// GenerateSigner makes a new key.
func GenerateSigner() (*Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return newSigner(private), nil
}

func newSigner(private ed25519.PrivateKey) *Signer {
	return &Signer{private, idOf(private.Public().(ed25519.PublicKey))}
}

// ID is the id of the key.
func (s *Signer) ID() KeyID { return s.id }

// sign returns the signature of b.
func (s *Signer) sign(b []byte) []byte { return ed25519.Sign(s.private, b) }

// The types of PEM blocks, as PKCS #8 and RFC 5280 have them.
const (
	pemPrivate = "PRIVATE KEY"
	pemPublic  = "PUBLIC KEY"
)

// MarshalPEM returns the private key as PKCS #8 in PEM: a secret.
func (s *Signer) MarshalPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(s.private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: der}), nil
}

// PublicPEM returns the public key in PEM, for the key file of an edge.
func (s *Signer) PublicPEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(s.private.Public())
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: der}), nil
}

// OpenSigner reads a private key, PKCS #8 in PEM. A file that others than its
// owner and group may read is refused.
func OpenSigner(path string) (*Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s: everybody may use this secret key (mode %04o); chmod 0640 it", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemPrivate {
		return nil, fmt.Errorf("%s: no PEM block %q; expect an Ed25519 key as PKCS #8", path, pemPrivate)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: a key of type %T; expect Ed25519", path, key)
	}
	return newSigner(private), nil
}

// Keys are the public keys that an edge trusts: one, or two while the registry
// changes its key. They are safe for concurrent use; the nil Keys trust nobody.
type Keys struct {
	mu   sync.RWMutex
	byID map[KeyID]ed25519.PublicKey
}

// Replace has k trust whom other trusts, from the next signature on.
func (k *Keys) Replace(other *Keys) {
	other.mu.RLock()
	byID := other.byID
	other.mu.RUnlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.byID = byID
}

// Trust returns keys that trust signers.
func Trust(signers ...*Signer) *Keys {
	k := &Keys{byID: map[KeyID]ed25519.PublicKey{}}
	for _, s := range signers {
		k.byID[s.id] = s.private.Public().(ed25519.PublicKey)
	}
	return k
}

// OpenKeys reads the PEM blocks of a file of public keys.
func OpenKeys(path string) (*Keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	k, err := ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// ParseKeys reads public keys: PEM blocks, one a key.
func ParseKeys(text []byte) (*Keys, error) {
	k := &Keys{byID: map[KeyID]ed25519.PublicKey{}}
	for n := 1; ; n++ {
		block, rest := pem.Decode(text)
		switch {
		case block == nil && strings.TrimSpace(string(rest)) != "":
			return nil, fmt.Errorf("what follows %d keys is no PEM block", n-1)
		case block == nil && n == 1:
			return nil, fmt.Errorf("no key; expect PEM blocks %q with Ed25519 keys", pemPublic)
		case block == nil:
			return k, nil
		case block.Type == pemPrivate:
			return nil, fmt.Errorf("block %d is a secret key; edges need the public one alone", n)
		case block.Type != pemPublic:
			return nil, fmt.Errorf("block %d is %q; expect %q", n, block.Type, pemPublic)
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", n, err)
		}
		public, ok := key.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("block %d is a key of type %T; expect Ed25519", n, key)
		}
		k.byID[idOf(public)] = public
		text = rest
	}
}

// ErrSignature: what was read is not signed by a key that is trusted.
var ErrSignature = errors.New("not signed by a key that is trusted")

// verify checks the signature of b.
func (k *Keys) verify(id KeyID, b, signature []byte) error {
	var public ed25519.PublicKey
	if k != nil {
		k.mu.RLock()
		public = k.byID[id]
		k.mu.RUnlock()
	}
	switch {
	case public == nil:
		return fmt.Errorf("key %s: %w; the registry may have changed its key: add the new one to the key file", id, ErrSignature)
	case !ed25519.Verify(public, b, signature):
		return fmt.Errorf("key %s: the signature is wrong: %w", id, ErrSignature)
	}
	return nil
}
