package gate

import "time"

// QUICLate are the ids of connections that have ended.
type QUICLate struct{ q quicLateIDs }

func (q *QUICLate) Add(id []byte, now time.Duration) {
	x, _ := quicIDOf(id)
	q.q.expire(now)
	q.q.add(x, now)
}

func (q *QUICLate) Has(id []byte, now time.Duration) bool {
	x, _ := quicIDOf(id)
	q.q.expire(now)
	return q.q.has(x)
}

// Held is what they take, in bytes.
func (q *QUICLate) Held() (n int) {
	for _, p := range q.q.parts {
		n += 4 * cap(p.marks)
	}
	return n
}

// LateQUIC is how long they are kept, and MaxLateQUIC how many.
const (
	LateQUIC    = lateQUIC
	MaxLateQUIC = maxLateQUIC
)

// QUICIDs are the ids of a listener.
type QUICIDs struct{ q quicIDs }

// Begins reports whether an id begins a connection, or else the word for why not.
func (q *QUICIDs) Begins(id []byte) string {
	x, _ := quicIDOf(id)
	if why, ok := q.q.begins(x); !ok {
		return quicDropWords[why]
	}
	return "begins"
}

// Late keeps an id.
func (q *QUICIDs) Late(id []byte, now time.Duration) {
	x, _ := quicIDOf(id)
	q.q.late.add(x, now)
}

// Expire forgets what is over.
func (q *QUICIDs) Expire(now time.Duration) { q.q.expire(now) }

// Older has all flows of QUIC, and their connections, be older by so much.
func (g *Gate) Older(d time.Duration) {
	g.eachQUICLoop(func(loop *quicLoop) {
		for _, f := range loop.flows {
			f.begun, f.last, f.said = f.begun-d, f.last-d, f.said-d
			for _, c := range f.conns {
				c.begun -= d
			}
		}
	})
}
