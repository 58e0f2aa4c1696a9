//go:build !linux

package index

// standBack runs f: threads have no priorities of their own here.
func standBack(f func() error) error { return f() }
