package gate

import (
	"math/rand/v2"
	"time"
)

// quicRate holds each client to so many datagrams a second that lead to no
// connection yet: each costs as much as a thousand of others. It is a table of
// fixed size, in which clients that fall on one place share it; which do, changes
// with every start. It is for one goroutine.
type quicRate struct {
	hi, lo uint64 // odd numbers that nobody knows
	slots  [1 << quicRateBits]time.Duration
}

// quicRateBits make 128 KiB. With a hundred clients that send too much, one in 160
// others suffers with them.
const quicRateBits = 14

func newQUICRate() *quicRate {
	return &quicRate{hi: rand.Uint64() | 1, lo: rand.Uint64() | 1}
}

// take takes one of a client's rate a second, of which as many may come at once,
// or reports that there is none left. A slot holds the time at which a bucket
// that leaks at the rate would be empty (GCRA).
func (r *quicRate) take(client clientPrefix, rate int, now time.Duration) bool {
	slot := &r.slots[(client.hi*r.hi^client.lo*r.lo)>>(64-quicRateBits)]
	empty := max(*slot, now) + time.Second/time.Duration(rate)
	if empty > now+time.Second {
		return false
	}
	*slot = empty
	return true
}
