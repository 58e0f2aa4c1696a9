package store

import "testing"

// SetLimits lets a test do with few filings what is meant for many.
func SetLimits(t testing.TB, flips, fresh int) {
	f, m := flipsFree, manyFresh
	flipsFree, manyFresh = flips, fresh
	t.Cleanup(func() { flipsFree, manyFresh = f, m })
}
