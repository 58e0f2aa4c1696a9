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

func (b *QUICBudget) Rest() { b.b.rest() }

// Bounds of a QUICBudget.
const (
	MaxJudged  = maxJudged
	BudgetTime = budgetTime
)
