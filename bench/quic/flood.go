//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// forged are datagrams that look as if somebody began a connection, by sorts.
type forged struct {
	filed [][]byte // a hello with a filed name, each with an id of its own
	other [][]byte // the other sorts, in a row
	n     int
}

// One in so many is filed: it opens a flow.
const filedShare = 32

// forge makes what a flood of so many datagrams needs. One in filedShare has a
// filed name; of seven others, three have an unfiled one, two do not open, one is
// the first half of a hello, and one is noise. Those with a filed name are all
// different; the gate has forgotten the others when they come again.
func (w *world) forge(n int) *forged {
	const different = 60_000
	f := &forged{}
	filed, unfiled, long := hellos(w.filed[:100], false), hellos(w.unfiled[:100], false), hellos(w.filed[:100], true)
	for i := range n/filedShare + 1 {
		f.filed = append(f.filed, datagrams(w.ids.next(), filed[i%len(filed)])[0])
	}
	noise := rand.NewChaCha8([32]byte{})
	for i := range min(n, different) {
		id := w.ids.next()
		var b []byte
		switch i % 7 {
		case 0, 1, 2:
			b = datagrams(id, unfiled[i%len(unfiled)])[0]
		case 3, 4:
			b = initial.Packet{DCID: id, Key: []byte("another"), Payload: []byte{1}, Size: initialSize}.Seal()
		case 5:
			b = datagrams(id, long[i%len(long)])[0]
		default:
			b = make([]byte, initialSize)
			_, _ = noise.Read(b)
		}
		f.other = append(f.other, b)
	}
	return f
}

// next is the next one.
func (f *forged) next() []byte {
	f.n++
	if f.n%filedShare == 0 {
		return f.filed[f.n/filedShare%len(f.filed)]
	}
	return f.other[f.n%len(f.other)]
}

// floodPorts are the ports that a flood comes from, and each datagram from another
// address than the one before.
const floodPorts = 16

// pour sends so many a second until ctx ends, and returns how many it sent.
func (w *world) pour(ctx context.Context, f *forged, rate int) (int, error) {
	socks := make([]*socket, floodPorts)
	for i := range socks {
		var err error
		if socks[i], err = listen("0.0.0.0:0"); err != nil {
			return 0, err
		}
		defer socks[i].conn.Close()
	}
	begin, sent := time.Now(), 0
	for ctx.Err() == nil {
		if due := int(time.Since(begin).Seconds() * float64(rate)); sent+batch > due {
			time.Sleep(time.Duration(batch) * time.Second / time.Duration(rate))
			continue
		}
		c := socks[sent/batch%floodPorts]
		for more := true; more; sent++ {
			b := f.next()
			more = c.add(w.flood, uint32(1<<20+sent%(1<<23)), b, len(b))
		}
		if err := c.flush(); err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// flooded is what came of a flood.
type flooded struct {
	sent, asked, failed   int
	handshakes            []time.Duration // sorted
	before, during, after int64           // memory, in KB
	lastError             error
}

// floodClients are at work at the same time.
const floodClients = 2

// floodIn floods the gate for a while, and has clients with a filed name ask all
// the time.
func (o options) floodIn(w *world, rate int, d time.Duration) (r flooded, err error) {
	f := w.forge(int(d.Seconds() * float64(rate)))
	if r.before, err = w.memory(); err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		sent int
		fail error
	)
	wait.Go(func() { sent, fail = w.pour(ctx, f, rate) })
	wait.Go(func() {
		for ctx.Err() == nil {
			kb, _ := w.memory()
			r.during = max(r.during, kb)
			time.Sleep(100 * time.Millisecond)
		}
	})
	for range floodClients {
		wait.Go(func() {
			for ctx.Err() == nil {
				asking, stop := context.WithTimeout(context.Background(), 15*time.Second)
				took, err := w.web.ask(asking, w.flood)
				stop()
				mu.Lock()
				if r.asked++; err != nil {
					r.failed, r.lastError = r.failed+1, err
				} else {
					r.handshakes = append(r.handshakes, took)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	slices.Sort(r.handshakes)
	r.sent = sent
	if r.after, err = w.memory(); err == nil {
		err = fail
	}
	return r, err
}

// part is the handshake that so many parts of a hundred were faster than.
func (r *flooded) part(percent int) time.Duration {
	if len(r.handshakes) == 0 {
		return 0
	}
	return r.handshakes[min(len(r.handshakes)*percent/100, len(r.handshakes)-1)]
}

// floods prints what comes of floods, and of none.
func (o options) floods(w *world) error {
	fmt.Println("\n| forged a second | connections of a filed name | failed | handshake, ms: half | 99 of 100 | all | memory, MB: before | at most | after |\n|---|---|---|---|---|---|---|---|---|")
	for _, rate := range []int{batch, o.rate / 10, o.rate} {
		r, err := o.floodIn(w, rate, o.flood)
		if err != nil {
			return err
		}
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		fmt.Printf("| %.0f | %d | %d | %.1f | %.1f | %.1f | %d | %d | %d |\n", float64(r.sent)/o.flood.Seconds(), r.asked, r.failed,
			ms(r.part(50)), ms(r.part(99)), ms(r.part(100)), r.before>>10, r.during>>10, r.after>>10)
		if r.lastError != nil {
			fmt.Println("one of those that failed:", r.lastError)
		}
	}
	return nil
}
