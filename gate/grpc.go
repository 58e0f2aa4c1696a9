package gate

import "github.com/icpgate/icpgate/gate/authz/extauthz"

// newRPC makes what serves Envoy's connections by a service, while that is in
// force: when another one is, their Envoy is told, and connects anew without
// losing a check.
func newRPC(s *service, reflection bool) *extauthz.Server {
	return extauthz.New(extauthz.Config{
		Judge: s, Pages: s, Hello: s.timeouts.head, Idle: s.timeouts.idle, Reflection: reflection, Panicked: s.panicked,
	})
}

// serveGRPC serves a connection to its end. One that came while its service was
// replaced goes to the next.
func (c *conn) serveGRPC(current func() *service) {
	s := c.s
	for !s.rpc.Take(c.client.Conn) {
		next := current()
		if next == s {
			c.client.Close() // the listener ends
			return
		}
		s = next
	}
}

// begin has what a listener's services need running run.
func (g *Gate) begin(s *service) {
	if s.rpc != nil {
		s.rpc.SetReady(s.edge.Ready())
		g.tasks.Go(s.rpc.Run)
	}
}

// retire ends what a service ran that is not in force any more. It does not wait.
func (g *Gate) retire(s *service) {
	if s != nil && s.rpc != nil {
		g.tasks.Go(s.rpc.Drain)
	}
}
