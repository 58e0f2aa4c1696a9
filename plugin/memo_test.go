package icp_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
)

// TestMemoFind: what was put is found by all bits of its fingerprint and by no
// others, but for the twelve that hold the outcome's number.
func TestMemoFind(t *testing.T) {
	m := icp.NewMemo()
	random := rand.New(rand.NewPCG(1, 2))
	h0, h1 := random.Uint64(), random.Uint64()
	if _, _, ok := m.Find(h0, h1); ok {
		t.Fatal("something is found in an empty memo")
	}
	m.Put(h0, h1, registry.Cancelled, 3)
	if r, filed, ok := m.Find(h0, h1); !ok || r != registry.Cancelled || filed != 3 {
		t.Fatalf("got %s, %d, %t; want what was put", r, filed, ok)
	}
	for bit := range 64 {
		if _, _, ok := m.Find(h0^1<<bit, h1); ok {
			t.Errorf("found with bit %d of the first half turned", bit)
		}
		if _, _, ok := m.Find(h0, h1^1<<bit); ok != (bit < 12) {
			t.Errorf("bit %d of the second half turned: found %t; want %t", bit, ok, bit < 12)
		}
	}
	// The empty places are no entry of a fingerprint of zeros.
	if _, _, ok := icp.NewMemo().Find(0, 0); ok {
		t.Error("zeros are found in an empty memo")
	}
}

// TestMemoFull: more entries than there is room for displace each other, and none
// is found with another's outcome.
func TestMemoFull(t *testing.T) {
	m := icp.NewMemo()
	reasons := registry.Reasons()
	entry := func(i int) (h0, h1 uint64, r registry.Reason) {
		random := rand.New(rand.NewPCG(uint64(i), 7))
		return random.Uint64(), random.Uint64(), reasons[i%len(reasons)]
	}
	const n = 2 * icp.MemoSlots
	for i := range n {
		h0, h1, r := entry(i)
		m.Put(h0, h1, r, uint8(i%5))
	}
	found := 0
	for i := range n {
		h0, h1, want := entry(i)
		r, filed, ok := m.Find(h0, h1)
		if !ok {
			continue
		}
		if found++; r != want || filed != uint8(i%5) {
			t.Fatalf("entry %d: got %s, %d; want %s, %d", i, r, filed, want, i%5)
		}
	}
	if found < icp.MemoSlots*9/10 || found > icp.MemoSlots {
		t.Errorf("%d of %d entries are left in %d places; want nearly all places taken", found, n, icp.MemoSlots)
	}
}

// TestMemoOutcomes: more outcomes than there are numbers for are not remembered.
func TestMemoOutcomes(t *testing.T) {
	m := icp.NewMemo()
	for i := range icp.MaxOutcomes + 100 {
		h := uint64(i+1) * 0x9e3779b97f4a7c15
		r, filed := registry.Reasons()[i/256], uint8(i%256)
		m.Put(h, h, r, filed)
		gotReason, gotFiled, ok := m.Find(h, h)
		if want := i < icp.MaxOutcomes; ok != want || ok && (gotReason != r || gotFiled != filed) {
			t.Fatalf("outcome %d: got %s, %d, %t; want %s, %d, %t", i, gotReason, gotFiled, ok, r, filed, want)
		}
	}
}

// TestMemoTorn: entries that are written over while they are read are found as
// they were put, or not at all.
func TestMemoTorn(t *testing.T) {
	m := icp.NewMemo()
	const entries = 64
	entry := func(i int) (h0, h1 uint64) {
		random := rand.New(rand.NewPCG(uint64(i), 9))
		return random.Uint64() &^ icp.MemoSetsMask, random.Uint64() // all in one set
	}
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for w := range 2 {
		writers.Go(func() {
			for i := w; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				h0, h1 := entry(i % entries)
				m.Put(h0, h1, registry.Filed, uint8(i%entries))
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for i := range 20_000 {
				h0, h1 := entry(i % entries)
				if _, filed, ok := m.Find(h0, h1); ok && filed != uint8(i%entries) {
					t.Errorf("entry %d is found as %d", i%entries, filed)
					return
				}
			}
		})
	}
	readers.Wait()
	close(stop)
	writers.Wait()
}
