package feed

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// Manifest says what the newest snapshot is: two files, each by its SHA-256, that
// any mirror may serve. The zero value is none.
type Manifest struct {
	// Formats are the lowest and the highest version of frames that follow.
	Formats  [2]int            `json:"formats"`
	Revision registry.Revision `json:"revision"`
	// Time is when the manifest was made: flips are counted within a window before it.
	Time time.Time `json:"time"`
	// Known is until when Revision is known to have been the registry's newest; edges
	// count the age of what they hold from it, or who lets manifests through and no
	// frames would keep them fresh. The zero value is that of registries that do not
	// tell, and then it is Time.
	Known time.Time `json:"known,omitzero"`
	Index File      `json:"index"` // the snapshot of filings and blacklist, as package index writes it
	Lists File      `json:"lists"` // the snapshot of lists
	// Filings and ListsSum are the digests at Revision, in hexadecimal.
	Filings  string `json:"filings_digest"`
	ListsSum string `json:"lists_digest"`
	// Filed is how many filings there are, for an edge to see at once that a
	// snapshot has shrunk.
	Filed int `json:"filed"`
	// Import is the confirmed import that the newest mass change came from, and
	// Flips how many filings it changed; "" where there was none. An edge that is
	// asked to take a snapshot beyond its limit wants to read it here.
	Import string `json:"import,omitempty"`
	Flips  uint64 `json:"flips,omitempty"`
}

// File is one file of a snapshot.
type File struct {
	SHA256 string `json:"sha256"` // in lower-case hexadecimal
	Bytes  int64  `json:"bytes"`
}

// Check reports why f can be no file of a snapshot.
func (f File) Check() error {
	if b, err := hex.DecodeString(f.SHA256); err != nil || len(b) != 32 || hex.EncodeToString(b) != f.SHA256 {
		return fmt.Errorf("SHA-256 %q; expect 64 digits of lower-case hexadecimal", f.SHA256)
	}
	if f.Bytes <= 0 {
		return fmt.Errorf("a file of %d bytes", f.Bytes)
	}
	return nil
}

// known is when m's snapshot was what the registry holds, as far as this copy can
// believe it.
func (m *Manifest) known(now time.Time) time.Time {
	t := m.Time
	if !m.Known.IsZero() {
		t = notAfter(m.Known, t)
	}
	return notAfter(t, now).UTC()
}

// Sums are the digests of m.
func (m *Manifest) Sums() (s Sums, err error) {
	if s.Filings, err = parseSum(m.Filings); err == nil {
		s.Lists, err = parseSum(m.ListsSum)
	}
	return s, err
}

func parseSum(text string) (v uint64, err error) {
	if _, err = fmt.Sscanf(text, "%016x", &v); err != nil || text != formatSum(v) {
		return 0, fmt.Errorf("digest %q; expect 16 digits of lower-case hexadecimal", text)
	}
	return v, nil
}

func formatSum(v uint64) string { return fmt.Sprintf("%016x", v) }

// SetSums writes the digests.
func (m *Manifest) SetSums(s Sums) { m.Filings, m.ListsSum = formatSum(s.Filings), formatSum(s.Lists) }

// Check reports the first reason why m cannot be followed.
func (m *Manifest) Check() error {
	switch {
	case m.Formats[0] > m.Formats[1] || m.Formats[0] < 1:
		return fmt.Errorf("formats %d to %d", m.Formats[0], m.Formats[1])
	case m.Revision.Epoch == (registry.Epoch{}):
		return errors.New("no epoch")
	case m.Time.IsZero():
		return errors.New("no time")
	case m.Filed < 0:
		return fmt.Errorf("%d filings", m.Filed)
	case len(m.Import) > maxImport:
		return fmt.Errorf("an import whose id has %d bytes; at most %d", len(m.Import), maxImport)
	}
	if err := m.Index.Check(); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	if err := m.Lists.Check(); err != nil {
		return fmt.Errorf("lists: %w", err)
	}
	_, err := m.Sums()
	return err
}

// Readable reports whether this package can follow frames of m's formats.
func (m *Manifest) Readable() error {
	if m.Formats[0] > HighestFormat || m.Formats[1] < LowestFormat {
		return fmt.Errorf("the registry sends formats %d to %d, this program reads %d to %d: update it", m.Formats[0], m.Formats[1], LowestFormat, HighestFormat)
	}
	return nil
}

// envelope is a manifest as it is served: its bytes as a string, so that what is
// signed is what is read.
type envelope struct {
	Manifest  string `json:"manifest"`
	Key       string `json:"key"`       // KeyID
	Signature string `json:"signature"` // Ed25519, base64
}

// maxManifest bounds a manifest in bytes.
const maxManifest = 16 << 10

// manifestContext stands before what is signed, so that no signature of a frame
// is one of a manifest.
const manifestContext = "icp manifest\n"

// Sign returns m as it is served. It fails if Check does.
func (m *Manifest) Sign(s *Signer) ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	signature := s.sign([]byte(manifestContext + string(text)))
	return json.Marshal(envelope{string(text), s.ID().String(), base64.StdEncoding.EncodeToString(signature)})
}

// ParseManifest reads what Sign wrote; one of keys must have signed it. Fields
// that this program does not know are passed over: a newer registry may say more.
func ParseManifest(b []byte, keys *Keys) (*Manifest, error) {
	if len(b) > maxManifest {
		return nil, fmt.Errorf("manifest of %d bytes; at most %d", len(b), maxManifest)
	}
	var e envelope
	if err := strict(b, &e); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	id, err := hex.DecodeString(e.Key)
	if err != nil || len(id) != len(KeyID{}) {
		return nil, fmt.Errorf("manifest: key %q; expect %d digits of hexadecimal", e.Key, 2*len(KeyID{}))
	}
	signature, err := base64.StdEncoding.DecodeString(e.Signature)
	if err != nil {
		return nil, fmt.Errorf("manifest: signature: %w", err)
	}
	if err := keys.verify(KeyID(id), []byte(manifestContext+e.Manifest), signature); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	m := new(Manifest)
	if err := json.NewDecoder(bytes.NewReader([]byte(e.Manifest))).Decode(m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}
