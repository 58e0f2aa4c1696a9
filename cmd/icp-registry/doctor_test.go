package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
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

// TestDoctorWaiting: imports that wait are named with what can be done, not all of very
// many.
func TestDoctorWaiting(t *testing.T) {
	var out api.Check
	for n := range 7 {
		out.Waiting = append(out.Waiting, api.WaitingImport{ID: fmt.Sprintf("%016x", n), State: store.ImportStaged, Made: time.Date(2026, 3, n+1, 8, 0, 0, 0, time.UTC)})
	}
	out.Waiting[1].State = store.ImportWaiting
	d := doctor{}
	d.waiting(&out)
	if len(d.findings) != 6 {
		t.Fatalf("got %+v; want five imports, and how many more", d.findings)
	}
	for n, want := range map[int]string{0: "import publish 0000000000000000", 1: "import approve 0000000000000001", 5: "import list"} {
		if f := d.findings[n]; f.State != stateWarn || !strings.Contains(f.Do, want) {
			t.Errorf("got %+v; want a warning, and %q", f, want)
		}
	}
}

// TestDoctorClock: an answer that was long in coming says nothing about the clocks;
// one that tells another time than there was in between does.
func TestDoctorClock(t *testing.T) {
	asked := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	answered := asked.Add(time.Minute)
	for now, want := range map[time.Time]string{
		asked: stateGood, answered: stateGood, asked.Add(-skew): stateGood, answered.Add(skew): stateGood,
		asked.Add(-skew - 1): stateWarn, answered.Add(skew + 1): stateWarn,
	} {
		d := doctor{}
		if d.clock(&api.Check{Now: now}, asked, answered); len(d.findings) != 1 || d.findings[0].State != want {
			t.Errorf("%s: got %+v; want it %s", now, d.findings, want)
		}
	}
}

// TestKeepingFlags: days that cannot be are refused, also those that would wrap around
// to the past and have everything dropped at once.
func TestKeepingFlags(t *testing.T) {
	for _, c := range []struct {
		keeping
		ok bool
	}{{keeping{184, 30, 7}, true}, {keeping{184, 0, 7}, false}, {keeping{0, 30, 7}, false}, {keeping{184, 30, -1}, false}, {keeping{200_000, 30, 7}, false}} {
		if err := c.check(); (err == nil) != c.ok {
			t.Errorf("%+v: got %v", c.keeping, err)
		}
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
