package gate

import (
	"time"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/authz/spop"
)

// spoeConn is a connection of HAProxy's, over which it asks one question after
// the other, and many before it has the first answer. What has come is answered
// in one go. While nothing comes it holds no buffer.
type spoeConn struct {
	*conn
	intake
	current func() *service // the one in force: these connections outlive it
	session spop.Session
	asker   authz.SPOE

	armed   time.Time // when the deadline for the next question was set
	partial bool      // part of a frame has come, and its deadline is set
}

// serveSPOE serves a connection to its end.
func (c *conn) serveSPOE(current func() *service) {
	s := &spoeConn{conn: c, current: current}
	defer func() {
		s.empty()
		s.client.Close()
	}()
	s.begin(c)
	// It is told why before it is closed, by who serves it: only deadlines end it
	// from outside.
	s.onEnd(func() { _ = c.client.SetDeadline(time.Now()) })
	for s.take() && s.await() {
	}
}

// take answers what is there. It reports whether the connection goes on.
func (s *spoeConn) take() bool {
	if s.in == nil {
		return true
	}
	v := s.current()
	if !s.follow(v) {
		return false
	}
	out := lend()
	n, answers, done := s.session.Take(s.pending(), (*out)[:0], &s.asker)
	*out = answers
	s.use(n)
	s.compact()
	ok := s.write(*out)
	giveBack(out)
	if done {
		v.metrics.farewell(s.session.Ended())
		if ok {
			s.client.linger(time.Now())
		}
	}
	return ok && !done
}

// follow goes on by the configuration in force, which may not list the peer any
// more.
func (s *spoeConn) follow(v *service) bool {
	if s.asker.Judge == v {
		return true
	}
	if !v.mayAsk(s.from.Addr()) {
		s.farewell(spop.Normal)
		return false
	}
	s.asker.Judge, s.asker.Pages, s.asker.Names = v, v, v.names
	return true
}

// write sends answers. HAProxy reads them at once; where it does not by the
// deadline that arm has set, the connection ends.
func (s *spoeConn) write(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	s.all.heads.Add(1)
	_, err := s.client.Write(b)
	return err == nil
}

// await waits for more. It reports false where the connection ends.
func (s *spoeConn) await() bool {
	s.arm()
	if s.partial && !s.cutOff() {
		_, err := s.client.read(&s.in)
		return s.came(err)
	}
	s.idle.Store(true)
	defer s.idle.Store(false)
	if s.leaving.Load() {
		s.farewell(spop.Normal)
		return false
	}
	_, err := s.client.read(&s.in)
	return s.came(err)
}

// came looks at why reading has ended.
func (s *spoeConn) came(err error) bool {
	switch {
	case err == nil:
		return true
	case !isTimeout(err):
	case s.leaving.Load():
		s.farewell(spop.Normal)
	default:
		s.farewell(spop.Timeout)
	}
	return false
}

// rearm is how large a part of the idle time may have gone by before deadlines
// are set anew: to set them costs as much as a question.
const rearm = 16

// arm sets the deadlines of reading and writing: the time for a head once part of
// a frame has come, and until the hello; else the time to be idle, or somewhat
// less.
func (s *spoeConn) arm() {
	now := time.Now()
	if s.in != nil || !s.session.Ready() {
		if !s.partial {
			s.partial = true
			_ = s.client.SetDeadline(now.Add(s.s.timeouts.head))
		}
		return
	}
	if idle := s.current().timeouts.idle; s.partial || now.Sub(s.armed) > idle/rearm {
		s.partial, s.armed = false, now
		_ = s.client.SetDeadline(now.Add(idle))
	}
}

// farewell tells HAProxy why the connection ends.
func (s *spoeConn) farewell(why spop.Status) {
	s.current().metrics.farewell(why)
	_ = s.client.SetWriteDeadline(time.Now().Add(lingerTime))
	if _, err := s.client.Write(spop.AppendDisconnect(nil, why)); err == nil {
		s.client.linger(time.Now())
	}
}
