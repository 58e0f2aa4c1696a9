package index

import "sync/atomic"

// Live is the index that is in force. Readers take it once per question and so
// have one consistent revision; nobody waits for anybody. The zero value has
// nothing loaded and is ready for use; it is safe for concurrent use and must
// not be copied.
type Live struct{ p atomic.Pointer[Index] }

// Load returns the index in force; nil if none was ever loaded.
func (l *Live) Load() *Index { return l.p.Load() }

// Swap puts x in force and returns the one before it. Questions that are being
// answered end with the old one.
func (l *Live) Swap(x *Index) *Index { return l.p.Swap(x) }
