package sniff_test

import (
	"testing"

	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// TestQUICOrdered: a hello that is put in order behind a large one, by the same
// QUICWork, holds no more than its own connection has sent.
func TestQUICOrdered(t *testing.T) {
	large, small := newConn(sniff.QUICv1), newConn(sniff.QUICv1)
	msg := message(filed, hello.Ext(21, make([]byte, 40_000)))
	var seen sniff.QUICSeen
	for end := len(msg); end > 0; end -= 1000 {
		seen = large.feed(initial.Crypto(max(0, end-1000), msg[max(0, end-1000):end]))
	}
	check(t, "the large one", seen, sniff.Name, filed, 0)
	msg = message(unfiled)
	seen = small.q.Feed(small.datagram(initial.Crypto(100, msg[100:]), initial.Crypto(0, msg[:100])), &large.w)
	check(t, "the small one", seen, sniff.Name, unfiled, 0)
	if held := small.q.Held(); held > 4096 {
		t.Errorf("the small one holds %d bytes", held)
	}
}
