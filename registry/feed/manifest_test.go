package feed_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
)

func testManifest() *feed.Manifest {
	m := &feed.Manifest{
		Formats: [2]int{1, 1}, Revision: testRevision, Time: time.Unix(1_790_000_000, 0).UTC(),
		Index: feed.File{SHA256: strings.Repeat("0a", 32), Bytes: 4096}, Lists: feed.File{SHA256: strings.Repeat("0b", 32), Bytes: 12},
		Filed: 3, Import: "2026-11-27.1", Flips: 9,
	}
	m.SetSums(feed.Sums{Filings: 1, Lists: 0xfedcba9876543210})
	return m
}

func TestManifest(t *testing.T) {
	s, m := signer(t), testManifest()
	b, err := m.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := feed.ParseManifest(b, feed.Trust(s))
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Fatalf("got %+v, %v; want %+v", got, err, m)
	}
	if sums, err := got.Sums(); err != nil || sums != (feed.Sums{Filings: 1, Lists: 0xfedcba9876543210}) {
		t.Errorf("Sums() = %x, %v", sums, err)
	}
	if _, err := feed.ParseManifest(b, feed.Trust(signer(t))); !errors.Is(err, feed.ErrSignature) {
		t.Errorf("another key: %v; want %v", err, feed.ErrSignature)
	}
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 1
		if got, err := feed.ParseManifest(c, feed.Trust(s)); err == nil && !reflect.DeepEqual(got, m) {
			t.Fatalf("byte %d changed: the manifest reads as %+v", i, got)
		}
	}
}

func TestManifestRefused(t *testing.T) {
	s := signer(t)
	for name, spoil := range map[string]func(m *feed.Manifest){
		"no epoch":       func(m *feed.Manifest) { m.Revision.Epoch = registry.Epoch{} },
		"no time":        func(m *feed.Manifest) { m.Time = time.Time{} },
		"no file":        func(m *feed.Manifest) { m.Index.Bytes = 0 },
		"a wrong sum":    func(m *feed.Manifest) { m.Lists.SHA256 = strings.Repeat("0B", 32) },
		"a wrong digest": func(m *feed.Manifest) { m.Filings = "1" },
		"no formats":     func(m *feed.Manifest) { m.Formats = [2]int{} },
	} {
		m := testManifest()
		spoil(m)
		if _, err := m.Sign(s); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	m := testManifest()
	m.Formats = [2]int{feed.HighestFormat + 1, feed.HighestFormat + 1}
	if err := m.Readable(); err == nil {
		t.Error("newer formats are said to be readable")
	}
}

func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode, parts ...[]byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, bytes.Join(parts, nil), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := signer(t), signer(t)
	secret, err := a.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	public, err1 := a.PublicPEM()
	other, err2 := b.PublicPEM()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	got, err := feed.OpenSigner(write("secret", 0o640, secret))
	if err != nil || got.ID() != a.ID() {
		t.Fatalf("OpenSigner: %v", err)
	}
	if _, err := feed.OpenSigner(write("open", 0o644, secret)); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("a secret key that everybody may read: %v", err)
	}
	keys, err := feed.OpenKeys(write("keys", 0o644, public, other))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*feed.Signer{a, b} {
		m, err := testManifest().Sign(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := feed.ParseManifest(m, keys); err != nil {
			t.Errorf("a manifest signed by one of two keys: %v", err)
		}
	}
	for name, text := range map[string][]byte{
		"empty": nil, "text": []byte("a key"), "secret key": secret, "rest": append(bytes.Clone(public), "rest"...),
	} {
		if _, err := feed.ParseKeys(text); err == nil {
			t.Errorf("%s: read as keys", name)
		}
	}
}
