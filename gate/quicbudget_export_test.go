package gate

import (
	"time"

	"github.com/icpgate/icpgate/gate/internal/udp"
)

// QUICBudget is what a loop of QUIC may judge.
type QUICBudget struct{ b quicBudget }

func (b *QUICBudget) Take(now time.Duration, port uint16, id []byte) bool {
	return b.b.take(now, &quicTuple{client: udp.Endpoint{Port: port}}, id)
}

// Rest is called when nothing is left to read.
func (b *QUICBudget) Rest() { b.b.read(0, nil) }

// Behind says whether too much waits.
func (b *QUICBudget) Behind(is bool) { b.b.behind = is }

// Bounds of a QUICBudget.
const (
	MaxJudged  = maxJudged
	BudgetTime = budgetTime
)
