// Package sniff reads the head of a connection as far as a gate must: whom does
// the client mean?
//
//	o := sniff.ClientHello(buf, &join)
//	switch o.Kind {
//	case sniff.More: … read on, under the deadline …
//	case sniff.Name: … decide on o.Name …
//	}
//
// A QUIC client sends its hello sealed and in pieces: QUICHello opens and joins
// them, and FirstQUIC, ScanQUIC and NextQUIC read what is not sealed.
//
// There is exactly one name, read the same way by everybody, or none: whatever
// two parsers could read differently is Malformed, with its cause. Everything
// works on bytes that the caller has read and keeps for replay; nothing
// allocates but ciphers, nothing is copied except to join a hello that lies in
// several records or packets.
//
// The package does no I/O, knows no deadline and decides nothing.
package sniff
