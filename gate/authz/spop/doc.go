// Package spop is the agent's side of SPOP 2.0, in which HAProxy asks others
// about its traffic (doc/SPOE.txt of HAProxy).
//
//	var s spop.Session
//	n, out, done := s.Take(in, out[:0], asker) // answers all whole frames of in
//
// A Session knows frames and nothing of connections: bytes go in, and answers
// come out. Of the protocol's capabilities it offers pipelining; a payload in
// fragments, and answers over other connections, are refused: HAProxy has given
// both up with version 3.1.
package spop
