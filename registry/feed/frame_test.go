package feed_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
)

func signer(t testing.TB) *feed.Signer {
	t.Helper()
	s, err := feed.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var testRevision = registry.Revision{Epoch: registry.Epoch{Made: 1_790_000_000_000, Random: 0x7f3b}, Rev: 42}

func testFrame() *feed.Frame {
	name := registry.MustParseDomain("example.com")
	filing := registry.Filing{
		Site:   registry.Site{Number: registry.MustParseNumber("京ICP备10000001号-1"), Name: "Example", Domains: []registry.Domain{name}},
		Entity: registry.Entity{Number: registry.MustParseNumber("京ICP备10000001号"), Name: "Example Ltd.", Nature: registry.Enterprise},
	}
	return &feed.Frame{
		Type: feed.FrameRevision, Revision: testRevision, Time: time.UnixMilli(1_790_000_000_123).UTC(),
		Sums: feed.Sums{Filings: 7, Lists: 1 << 63}, Import: "2026-11-27.1",
		Notice: &feed.MassChange{Import: "2026-11-27.1", Flips: 12_345},
		Changes: []registry.Change{
			{Revision: testRevision, Kind: registry.ChangeFilings, Name: name, Filings: []registry.Filing{filing}},
			{Revision: testRevision, Kind: registry.ChangeListed, Name: registry.MustParseDomain("example.net")},
		},
		Entries: []registry.Entry{
			{List: registry.ListNetworks, Key: "192.0.2.0/24", Value: "aliyun ecs cn-beijing"},
			{List: registry.ListExemptions, Key: "*.example.org", Gone: true},
		},
	}
}

func TestFrame(t *testing.T) {
	s, f := signer(t), testFrame()
	b, err := f.Append([]byte("before"), s)
	if err != nil {
		t.Fatal(err)
	}
	b = b[len("before"):]
	got, err := feed.ParseFrame(b, feed.Trust(signer(t), s))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := got.Append(nil, s); err != nil || !bytes.Equal(again, b) {
		t.Errorf("a frame that was read is written in other bytes (%v)", err)
	}
	if !reflect.DeepEqual(got.Entries, f.Entries) || !reflect.DeepEqual(got.Notice, f.Notice) || got.Import != f.Import || len(got.Changes) != 2 ||
		got.Time != f.Time || got.Sums != f.Sums || got.Revision != f.Revision {
		t.Errorf("got %+v; want %+v", got, f)
	}
	if h, err := feed.ParseHead(b); err != nil || h.Revision != f.Revision || h.Key != s.ID() || h.Sums != f.Sums || h.Time != f.Time {
		t.Errorf("ParseHead: %+v, %v", h, err)
	}
	read, err := feed.ReadFrame(bytes.NewReader(append(bytes.Clone(b), b...)), nil)
	if err != nil || !bytes.Equal(read, b) {
		t.Errorf("ReadFrame of a stream of two: %d bytes, %v; want %d", len(read), err, len(b))
	}
}

// Every flipped bit and every truncation is found; so is another key.
func TestFrameDamaged(t *testing.T) {
	s, f := signer(t), testFrame()
	b, err := f.Append(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	keys := feed.Trust(s)
	for i := range 8 * len(b) {
		c := bytes.Clone(b)
		c[i/8] ^= 1 << (i % 8)
		if _, err := feed.ParseFrame(c, keys); !errors.Is(err, feed.ErrFrame) {
			t.Fatalf("bit %d flipped: %v; want %v", i, err, feed.ErrFrame)
		}
		if i >= 64 { // somebody who makes the checksum right
			resum(c)
			if _, err := feed.ParseFrame(c, keys); err == nil {
				t.Fatalf("bit %d flipped and the checksum made right: no error", i)
			}
		}
	}
	for n := range b {
		if _, err := feed.ParseFrame(b[:n], keys); !errors.Is(err, feed.ErrFrame) {
			t.Fatalf("%d bytes of %d: %v; want %v", n, len(b), err, feed.ErrFrame)
		}
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := feed.ReadFrame(bytes.NewReader(b[:n]), nil); !errors.Is(err, want) {
			t.Fatalf("a stream of %d bytes: %v; want %v", n, err, want)
		}
	}
	for _, keys := range []*feed.Keys{nil, feed.Trust(), feed.Trust(signer(t))} {
		if _, err := feed.ParseFrame(b, keys); !errors.Is(err, feed.ErrSignature) {
			t.Errorf("signed by a key that is not trusted: %v; want %v", err, feed.ErrSignature)
		}
	}
}

func resum(b []byte) {
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], crc32.MakeTable(crc32.Castagnoli)))
}

func TestFrameRefused(t *testing.T) {
	s := signer(t)
	for name, spoil := range map[string]func(f *feed.Frame){
		"a change of another revision": func(f *feed.Frame) { f.Changes[0].Revision.Rev++ },
		"a change that cannot be":      func(f *feed.Frame) { f.Changes[0].Name = registry.Domain{} },
		"an entry without a key":       func(f *feed.Frame) { f.Entries[0].Key = "" },
		"an entry of two lines":        func(f *feed.Frame) { f.Entries[0].Value = "aliyun\necs" },
		"an entry with a comment":      func(f *feed.Frame) { f.Entries[0].Value = "aliyun # ecs" },
		"a gone entry that says more":  func(f *feed.Frame) { f.Entries[0].Gone = true },
		"a long import":                func(f *feed.Frame) { f.Import = strings.Repeat("x", 200) },
		"too many operations": func(f *feed.Frame) {
			f.Entries = make([]registry.Entry, feed.MaxOperations)
			for i := range f.Entries {
				f.Entries[i] = registry.Entry{List: registry.ListTLDs, Key: "test"}
			}
		},
	} {
		f := testFrame()
		spoil(f)
		if _, err := f.Append(nil, s); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	s := signer(t)
	beat := &feed.Frame{Type: feed.FrameHeartbeat, Revision: testRevision, Time: time.UnixMilli(5).UTC()}
	b, err := beat.Append(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := feed.ParseFrame(b, feed.Trust(s)); err != nil || !reflect.DeepEqual(got, beat) {
		t.Errorf("got %+v, %v; want %+v", got, err, beat)
	}
	beat.Entries = testFrame().Entries
	if b, err = beat.Append(nil, s); err == nil {
		_, err = feed.ParseFrame(b, feed.Trust(s))
	}
	if err == nil {
		t.Error("a heartbeat with operations was read")
	}
}

// FuzzFrame: whatever is signed, nothing makes a panic, and what is read is
// written in the bytes that it was read from or, where it holds what is skipped,
// in ones that read the same.
func FuzzFrame(f *testing.F) {
	s := signer(f)
	b, err := testFrame().Append(nil, s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:80])
	f.Add([]byte{})
	keys := feed.Trust(s)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := feed.ParseFrame(b, keys); err == nil {
			t.Skip("a frame that is ours")
		}
		// Signed and summed again, as by the registry itself.
		b = feed.Resign(bytes.Clone(b), s)
		got, err := feed.ParseFrame(b, keys)
		if err != nil {
			return
		}
		again, err := got.Append(nil, s)
		if err != nil {
			t.Fatalf("%x is read and cannot be written: %v", b, err)
		}
		twice, err := feed.ParseFrame(again, keys)
		if err != nil {
			t.Fatalf("%x is written as %x, which does not read: %v", b, again, err)
		}
		if third, err := twice.Append(nil, s); err != nil || !bytes.Equal(third, again) {
			t.Fatalf("%x is written as %x and then as %x (%v)", b, again, third, err)
		}
	})
}
