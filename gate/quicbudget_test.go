package gate_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate"
)

// TestQUICBudget: a loop that keeps up judges all that comes. One that does not
// judges so many in its time, and again in the next; beside them as many of those
// that were turned away and come again, with the same id from the same port.
func TestQUICBudget(t *testing.T) {
	const most, rounds = gate.MaxJudged, 10
	var b gate.QUICBudget
	take := func(now time.Duration, port uint16, first, n int) (taken int) {
		for i := range n {
			if b.Take(now, port, binary.BigEndian.AppendUint64(nil, uint64(first+i))) {
				taken++
			}
		}
		return taken
	}
	next := 0
	fresh := func(now time.Duration, n int) int {
		next += n
		return take(now, 1, next-n, n)
	}
	for range rounds {
		if got := fresh(time.Second, most); got != most {
			t.Fatalf("it keeps up, and %d of %d are judged", got, most)
		}
	}
	b.Rest()
	b.Behind(true)
	now := 2 * time.Second
	for range rounds {
		if got := fresh(now, most) + fresh(now+gate.BudgetTime-1, most); got < most || got > most+most/20 {
			t.Errorf("it does not keep up, and %d that are new are judged; want %d, and some taken for others", got, most)
		}
		now += gate.BudgetTime
	}
	b.Rest()
	b.Behind(true)
	fresh(now, most)
	away, few := next, most/4
	if got := fresh(now, few); got > few/20 {
		t.Errorf("%d of %d are judged beyond the budget", got, few)
	}
	if got := take(now, 2, away, few); got > few/20 {
		t.Errorf("%d of %d that come from another port are judged", got, few)
	}
	if got := take(now, 1, away, few); got < few*9/10 {
		t.Errorf("%d of %d that come again are judged", got, few)
	}
	again := 0
	for range rounds {
		again += take(now, 1, away, most)
	}
	if again > most {
		t.Errorf("%d that come again are judged in the same time; want %d at most", again, most)
	}
}
