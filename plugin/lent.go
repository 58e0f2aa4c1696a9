package icp

import (
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/coredns/coredns/request"
)

// lent is a block answer that is used again as soon as it is written. To allocate one
// each time is paid for twice: then, and when the garbage collector comes the more
// often.
type lent struct {
	reply
	told told
}

var lents = sync.Pool{New: func() any { return new(lent) }}

// lend returns one that is zero.
func lend() *lent { return lents.Get().(*lent) }

// giveBack ends the use of l; nil is allowed.
func (l *lent) giveBack() {
	if l != nil {
		*l = lent{}
		lents.Put(l)
	}
}

// direct reports whether what in writes is packed and sent before WriteMsg returns,
// and nobody keeps the message: nothing stands between in and the server but the
// server's own writers. A plugin above, such as log, may look at a message later; so
// may the server for DNS over HTTPS.
func (in *inspector) direct() bool {
	w, ok := in.ResponseWriter.(*request.ScrubWriter)
	if !ok {
		return false
	}
	t := reflect.TypeOf(w.ResponseWriter)
	if known := packing.Load(); known != nil && *known == t {
		return true
	}
	if t.String() != "*dns.response" || t.Elem().PkgPath() != "github.com/miekg/dns" {
		return false
	}
	seen := t // or t would be allocated for each answer
	packing.Store(&seen)
	return true
}

// packing is the type of the writer that serves UDP, TCP and TLS, once one was seen:
// it has no name outside its package.
var packing atomic.Pointer[reflect.Type]
