package registry_test

import (
	"testing"

	"github.com/icpgate/icpgate/registry"
)

func FuzzNumberBinary(f *testing.F) {
	for _, text := range []string{"", "京ICP备12345678号", "粤ICP备2023000001号-12A", "京ICP证030173号-3", "沪ICP备05001号-99999K", "粤B2-20090059-1626X", "A2.B1.B2-20090001"} {
		var n registry.Number
		if err := n.UnmarshalText([]byte(text)); err != nil {
			f.Fatal(err)
		}
		b, err := n.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		var again registry.Number
		if err := again.UnmarshalBinary(b); err != nil || again != n {
			f.Fatalf("%q: got %v, error %v", text, again, err)
		}
	}
	f.Add([]byte{0xff, 0xff, 0xff, 1, 1})
	f.Add([]byte{1, 1, 0, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		var n registry.Number
		if err := n.UnmarshalBinary(b); err != nil {
			if !n.IsZero() {
				t.Fatalf("%x: got %v beside the error %v; want none", b, n, err)
			}
			return
		}
		if m, _, err := registry.ParseNumber(n.String()); !n.IsZero() && (err != nil || m != n) {
			t.Fatalf("%x is %v, which is read as %v, error %v", b, n, m, err)
		}
		again, err := n.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var same registry.Number
		if err := same.UnmarshalBinary(again); err != nil || same != n {
			t.Fatalf("%x is %v, which is written as %x and read as %v, error %v", b, n, again, same, err)
		}
	})
}

func TestDigits(t *testing.T) {
	for text, want := range map[string]uint64{"沪ICP备05001号": 105001, "京ICP备12345678号-2": 112345678} {
		n, _, err := registry.ParseNumber(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Digits(); got != want {
			t.Errorf("%s: got %d; want %d", text, got, want)
		}
	}
	if got := (registry.Number{}).Digits(); got != 0 {
		t.Errorf("no number: got %d; want 0", got)
	}
}
