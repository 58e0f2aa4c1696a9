package gate

import (
	"bytes"
	"slices"
)

// A client that sends to an id that the server has chosen has received what the
// server sent: it is where it says it is. Until then its flow is unproven. Whoever
// knows a filed name can begin such flows in the name of any address, so they are
// bounded, apart from all others, and new ones push the oldest out: a true client
// needs the time of one answer only.

// quicUnproven are the flows of a loop that are unproven, the oldest first. The
// zero value is ready.
type quicUnproven struct {
	oldest, newest *quicFlow
	n              int64
}

// unprovenShare is the part of all connections that may be unproven.
const unprovenShare = 4

// doubt has a flow that has begun be unproven, and makes room for it.
func (l *quicLoop) doubt(f *quicFlow) {
	q := &l.unproven
	if f.older = q.newest; f.older != nil {
		f.older.newer = f
	} else {
		q.oldest = f
	}
	q.newest, f.doubted = f, true
	if q.n++; q.n > f.s.limiter.max/unprovenShare/int64(len(l.l.loops))+1 {
		l.pushOut()
	}
}

// pushOut ends the oldest flow that is unproven, and reports whether there was one.
func (l *quicLoop) pushOut() bool {
	f := l.unproven.oldest
	if f == nil {
		return false
	}
	l.counts.drop(quicPushedOut)
	l.end(f)
	return true
}

// prove has a flow be proven.
func (l *quicLoop) prove(f *quicFlow) {
	if !f.doubted {
		return
	}
	q := &l.unproven
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		q.oldest = f.newer
	}
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		q.newest = f.older
	}
	f.older, f.newer, f.doubted = nil, nil, false
	q.n--
}

// proves reports whether a datagram with a short header bears an id that the server
// of c has chosen.
func (c *quicConn) proves(d []byte) bool {
	return slices.ContainsFunc(c.ids, func(id quicID) bool { return id != c.first && bytes.HasPrefix(d[1:], id.bytes()) })
}
