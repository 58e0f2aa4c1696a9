package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/icpgate/icpgate/registry/feed"
)

// TestDoctorSigning: the public key may stand among others, as it does while the key
// that signs is changed; another one alone is none.
func TestDoctorSigning(t *testing.T) {
	own, other := newSigner(t), newSigner(t)
	secret, err := own.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		signers []*feed.Signer
		want    string
	}{
		{"its own", []*feed.Signer{own}, stateGood},
		{"the next one, too", []*feed.Signer{own, other}, stateGood},
		{"an earlier one, too", []*feed.Signer{other, own}, stateGood},
		{"another", []*feed.Signer{other}, stateWarn},
		{"none", nil, stateWarn},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := doctor{}
			d.dir = t.TempDir()
			var public []byte
			for _, s := range c.signers {
				text, err := s.PublicPEM()
				if err != nil {
					t.Fatal(err)
				}
				public = append(public, text...)
			}
			for name, text := range map[string][]byte{signingName: secret, publicName: public} {
				if err := os.WriteFile(filepath.Join(d.dir, name), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if d.signing(); len(d.findings) != 1 || d.findings[0].State != c.want {
				t.Errorf("got %+v; want it %s", d.findings, c.want)
			}
		})
	}
}

func newSigner(t *testing.T) *feed.Signer {
	t.Helper()
	s, err := feed.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
