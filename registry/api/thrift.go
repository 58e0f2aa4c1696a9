package api

import (
	"runtime/debug"
	"sync"
)

// thriftyPercent: what a snapshot or an import holds has few pointers, so that a
// collection costs next to nothing, while Go's default would let as much garbage
// again lie beside it.
const thriftyPercent = 20

var thrift struct {
	sync.Mutex
	users   int
	percent int // before the first of them
}

// thrifty has garbage collected more often until end is called. Several may ask for
// it at a time.
func thrifty() (end func()) {
	thrift.Lock()
	defer thrift.Unlock()
	if thrift.users++; thrift.users == 1 {
		thrift.percent = debug.SetGCPercent(thriftyPercent)
	}
	return sync.OnceFunc(func() {
		thrift.Lock()
		defer thrift.Unlock()
		if thrift.users--; thrift.users == 0 {
			debug.SetGCPercent(thrift.percent)
		}
	})
}
