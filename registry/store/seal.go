package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/disk"
)

// Key encrypts the personal data of entities. It is kept outside the database;
// without it the data is lost, which also is a way to erase all of it. The zero
// value must not be used.
type Key [32]byte

// NewKey makes a random key.
func NewKey() *Key {
	k := new(Key)
	rand.Read(k[:]) // never fails, see crypto/rand
	return k
}

// ReadKey reads the file of a key, which must not be open to all: 32 bytes in
// base64, on one line.
func ReadKey(path string) (*Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("key %s: everybody may read it (mode %s); expect one that its owner may read, as chmod 600 makes it", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(raw) != len(Key{}) {
		return nil, fmt.Errorf("key %s: expect 32 bytes in base64, as \"openssl rand -base64 32\" writes them", path)
	}
	k := Key(raw)
	return &k, nil
}

// ReadOrMakeKey reads the file of a key, or makes it with a random one.
func ReadOrMakeKey(path string) (*Key, error) {
	k, err := ReadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	k = NewKey()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return ReadKey(path) // another program was first
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.WriteString(base64.StdEncoding.EncodeToString(k[:]) + "\n"); err != nil {
		return nil, err
	}
	return k, errors.Join(f.Sync(), disk.SyncDir(filepath.Dir(path)))
}

// sealer encrypts and decrypts. The nil pointer keeps nothing.
type sealer struct {
	aead   cipher.AEAD
	check  []byte // in meta, to know the key again
	digest []byte // keys the digests of filings
}

func newSealer(k *Key) (*sealer, error) {
	if k == nil {
		return nil, nil
	}
	sub := func(what string) []byte {
		b, err := hkdf.Key(sha256.New, k[:], nil, "icp registry "+what, 32)
		if err != nil {
			panic(err) // only for a length that no hash has
		}
		return b
	}
	block, err := aes.NewCipher(sub("personal data"))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &sealer{aead: aead, check: sub("check")[:16], digest: sub("digest")}, err
}

// seal encrypts a text for one place, so that it cannot be moved to another. An
// empty text is nil.
func (s *sealer) seal(place, text string) []byte {
	if s == nil || text == "" {
		return nil
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(text)+s.aead.Overhead())
	rand.Read(nonce)
	return s.aead.Seal(nonce, nonce, []byte(text), []byte(place))
}

// open decrypts what seal made for a place.
func (s *sealer) open(place string, sealed []byte) (string, error) {
	if s == nil || len(sealed) == 0 {
		return "", nil
	}
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return "", fmt.Errorf("personal data of %s is damaged", place)
	}
	text, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(place))
	if err != nil {
		return "", fmt.Errorf("personal data of %s is damaged, or of another key", place)
	}
	return string(text), nil
}

// openSeal makes the sealer and refuses another key than the one that was used
// before.
func (s *Store) openSeal(ctx context.Context) (err error) {
	if s.seal, err = newSealer(s.o.Key); err != nil {
		return err
	}
	var check []byte
	if err := s.w.QueryRowContext(ctx, "SELECT key_check FROM meta WHERE id = 1").Scan(&check); err != nil {
		return err
	}
	switch {
	case check == nil && s.seal == nil:
		return nil
	case check == nil:
		_, err := s.w.ExecContext(ctx, s.e.query("UPDATE meta SET key_check = ? WHERE id = 1"), s.seal.check)
		return err
	case s.seal == nil:
		return errors.New("personal data is encrypted; name the file of its key")
	case !hmac.Equal(check, s.seal.check):
		return errors.New("the key is not the one that personal data was encrypted with; name the right one")
	}
	return nil
}

// personal reports whether an entity's name is personal data: that of an
// individual, and that of somebody who may be one.
func personal(n registry.Nature) bool {
	return n == registry.Individual || n == registry.NatureUnknown
}
