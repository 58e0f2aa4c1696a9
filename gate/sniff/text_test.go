package sniff

import "testing"

// TestAbove compares the way of eight bytes at a time with that of one, at every
// place of every byte.
func TestAbove(t *testing.T) {
	for _, c := range []byte{' ' - 1, ' '} {
		for x := range 256 {
			for _, other := range []byte{c + 1, 'a', 0x7e, 0x80, 0xff} {
				for n := 1; n <= 20; n++ {
					for at := range n {
						b := make([]byte, n)
						for i := range b {
							b[i] = other
						}
						b[at] = byte(x)
						want := x > int(c) && x != 0x7f
						if got := above(b, c); got != want {
							t.Fatalf("above(%q, %#x) = %v; want %v", b, c, got, want)
						}
					}
				}
			}
		}
	}
}
