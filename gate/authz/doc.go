// Package authz is how proxies ask: what they send with a request or a
// connection of theirs, and what they are answered.
//
//	q := authz.Question{Channel: registry.ChannelHTTPS, Client: client}
//	q.ReadAuthority("www.example.com:443")
//	a := judge.Ask(&q)
//	if a.Refused { … a.Verdict.Reason, a.ID … }
//
// It reads what it is given and decides nothing: a Judge does, which counts and
// reports as well. Listeners, deadlines and limits are the gate's.
package authz
