package gate_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come, also on a machine that
// stands still for some seconds now and then.
const patience = 2 * time.Minute

// hasty tries what shows itself by a short time of a gate's, such as a limit for
// idleness. What fails, and took as long as that time, may have failed since the
// machine stood still, so that the time was over for somebody who is in time: it is
// tried again with a time four times as long, and so on. What fails sooner, or with a
// time longer than machines stand still, has failed.
func hasty(t *testing.T, short time.Duration, try func(t testing.TB, short time.Duration)) {
	t.Helper()
	const enough = 10 * time.Second
	for ; ; short *= 4 {
		a := &attempt{TB: t}
		if a.shows(func() { try(a, short) }, short, short >= enough) {
			return
		}
	}
}

// hurried tries what must be through within a time of the gate's that no test can set.
// Where it failed and took longer, that shows nothing, and it is tried again.
func hurried(t *testing.T, limit time.Duration, try func(t testing.TB)) {
	t.Helper()
	for tries := 1; ; tries++ {
		a := &attempt{TB: t}
		if a.shows(func() { try(a) }, limit, tries == 5) {
			return
		}
	}
}

// shows reports whether an attempt showed something, and fails the test if that is a
// failure.
func (a *attempt) shows(try func(), limit time.Duration, last bool) bool {
	a.TB.Helper()
	begun := time.Now()
	failed := a.run(try)
	took := time.Since(begun)
	switch {
	case failed == "":
		return true
	case last || took < limit:
		a.TB.Fatalf("with a time of %s, after %s:\n%s", limit, took, failed)
	}
	a.TB.Logf("with a time of %s, after %s: tried again, for\n%s", limit, took, failed)
	return false
}

// attempt stands for a test that may fail and be tried again.
type attempt struct {
	testing.TB
	ctx context.Context

	mu       sync.Mutex
	failed   bool
	said     strings.Builder
	cleanups []func()
}

// run tries in a goroutine of its own, cleans up and returns what was wrong, "" if
// nothing was.
func (a *attempt) run(try func()) (wrong string) {
	ctx, cancel := context.WithCancel(a.TB.Context())
	a.ctx = ctx
	aside := func(f func()) { // for Goexit, which ends it
		var all sync.WaitGroup
		all.Go(f)
		all.Wait()
	}
	aside(try)
	cancel()
	for {
		a.mu.Lock()
		n := len(a.cleanups) - 1
		if n < 0 {
			break
		}
		f := a.cleanups[n]
		a.cleanups = a.cleanups[:n]
		a.mu.Unlock()
		aside(f)
	}
	defer a.mu.Unlock()
	switch {
	case !a.failed:
		return ""
	case a.said.Len() == 0:
		return "it failed"
	}
	return a.said.String()
}

func (a *attempt) say(s string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fmt.Fprintln(&a.said, strings.TrimSuffix(s, "\n"))
}

// Cleanup implements testing.TB, as all of these.
func (a *attempt) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, f)
}

func (a *attempt) Context() context.Context { return a.ctx }

func (a *attempt) Fail() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = true
}

func (a *attempt) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

func (a *attempt) FailNow()                     { a.Fail(); runtime.Goexit() }
func (a *attempt) Log(args ...any)              { a.say(fmt.Sprintln(args...)) }
func (a *attempt) Logf(f string, args ...any)   { a.say(fmt.Sprintf(f, args...)) }
func (a *attempt) Error(args ...any)            { a.Log(args...); a.Fail() }
func (a *attempt) Errorf(f string, args ...any) { a.Logf(f, args...); a.Fail() }
func (a *attempt) Fatal(args ...any)            { a.Log(args...); a.FailNow() }
func (a *attempt) Fatalf(f string, args ...any) { a.Logf(f, args...); a.FailNow() }

// TestHasty: what fails for want of time is tried again with more, and what fails
// for another reason is not.
func TestHasty(t *testing.T) {
	var tried []time.Duration
	cleaned := 0
	hasty(t, time.Millisecond, func(t testing.TB, short time.Duration) {
		tried = append(tried, short)
		t.Cleanup(func() { cleaned++ })
		<-time.After(short)
		if short < 10*time.Millisecond {
			t.Fatalf("%s is not enough", short)
		}
	})
	if fmt.Sprint(tried) != "[1ms 4ms 16ms]" || cleaned != 3 {
		t.Errorf("tried with %v, cleaned up %d times", tried, cleaned)
	}
	a := &attempt{TB: t}
	if got := a.run(func() { a.Error("wrong"); a.Fatal("worse"); a.Error("not said") }); got != "wrong\nworse\n" {
		t.Errorf("what was wrong is %q", got)
	}
}
