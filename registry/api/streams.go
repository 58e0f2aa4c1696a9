package api

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"sync"
	"time"
)

// errEnded ends a request that goes on for long: the right to it has ended.
var errEnded error = failure{http.StatusUnauthorized, errors.New("the token or certificate that this was asked with is not valid any more")}

// DefaultRecheck is how often it is looked whether the tokens of what is open are
// still good. What is revoked through this service ends at once.
const DefaultRecheck = 10 * time.Second

// lasting are the requests that go on for long, each of which ends with the right
// to it. It is safe for concurrent use; make it by newLasting.
type lasting struct {
	jobs   *jobs
	by     Authenticator
	gone   func([][]*x509.Certificate) bool // was revoked
	now    func() time.Time
	every  time.Duration
	failed func(error)
	ended  func()          // is told of each that ends so
	forget func(id string) // is told of each token that is found to have ended

	mu   sync.Mutex
	open map[*lastingOne]struct{}
	// looking: a goroutine looks after them; there is one as long as any is open.
	looking bool
}

// lastingOne is one of them.
type lastingOne struct {
	who Identity
	end context.CancelCauseFunc
}

func newLasting(cfg *Config, j *jobs, ended func()) *lasting {
	l := &lasting{jobs: j, by: cfg.Tokens, gone: cfg.Revoked, now: cfg.Now, every: cfg.Recheck, failed: cfg.Failed, ended: ended, open: map[*lastingOne]struct{}{}}
	if l.every <= 0 {
		l.every = DefaultRecheck
	}
	return l
}

// handler serves what goes on for long. Nothing is written once the right to it has
// ended: whole says so of every piece, which costs sendfile; else a piece that is
// under way may go out.
func (l *lasting) handler(h http.Handler, whole bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, end := context.WithCancelCause(r.Context())
		defer end(nil)
		one := &lastingOne{who: IdentityOf(r.Context()), end: end}
		defer l.join(one)()
		// It may have been revoked between the guard and here. Where the guard could not
		// ask, asking again would only take time.
		if !one.who.unsure && l.check(ctx, []*lastingOne{one}) > 0 {
			writeProblem(w, http.StatusUnauthorized, errEnded.Error())
			return
		}
		to := http.NewResponseController(w)
		// A reader that takes nothing must not keep it open.
		stop := context.AfterFunc(ctx, func() { _ = to.SetWriteDeadline(time.Unix(1, 0)) })
		defer stop()
		if whole {
			w = &entitled{w, ctx, l, one}
		}
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// entitled writes as long as the right to it lasts.
type entitled struct {
	http.ResponseWriter
	ctx context.Context // of the request
	l   *lasting
	one *lastingOne
}

// Unwrap is for http.ResponseController.
func (e *entitled) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// Write implements http.ResponseWriter.
func (e *entitled) Write(b []byte) (int, error) {
	if e.one.who.over(e.l.now()) {
		e.l.drop(e.one)
	}
	if e.ctx.Err() != nil {
		return 0, context.Cause(e.ctx)
	}
	return e.ResponseWriter.Write(b)
}

// over reports whether an identity has ended by itself.
func (i Identity) over(now time.Time) bool { return !i.Until.IsZero() && !now.Before(i.Until) }

// join looks after a request until the function it returns is called.
func (l *lasting) join(one *lastingOne) (leave func()) {
	l.mu.Lock()
	l.open[one] = struct{}{}
	if !l.looking {
		l.looking = true
		l.jobs.group.Go(l.look)
	}
	l.mu.Unlock()
	stop := func() {}
	if until := one.who.Until; !until.IsZero() {
		ctx, cancel := context.WithCancel(context.Background())
		var timer *time.Timer
		var mu sync.Mutex // timer is set while it may fire already
		mu.Lock()
		timer = time.AfterFunc(until.Sub(l.now()), func() {
			mu.Lock()
			defer mu.Unlock()
			switch left := until.Sub(l.now()); {
			case ctx.Err() != nil:
			case left > 0: // the clock was set, or is another one than the timer's
				timer.Reset(left)
			default:
				l.drop(one)
			}
		})
		mu.Unlock()
		stop = func() { cancel(); timer.Stop() }
	}
	return func() {
		stop()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, one)
	}
}

// drop ends a request.
func (l *lasting) drop(one *lastingOne) {
	l.mu.Lock()
	_, open := l.open[one]
	delete(l.open, one)
	l.mu.Unlock()
	if open {
		l.ended()
		one.end(errEnded)
	}
}

// endAll ends the requests of an identity at once.
func (l *lasting) endAll(id string) {
	for _, one := range l.all() {
		if one.who.ID == id {
			l.drop(one)
		}
	}
}

func (l *lasting) all() []*lastingOne {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*lastingOne, 0, len(l.open))
	for one := range l.open {
		all = append(all, one)
	}
	return all
}

// look looks after what is open, until nothing is.
func (l *lasting) look() {
	t := time.NewTicker(l.every)
	defer t.Stop()
	for {
		select {
		case <-l.jobs.ctx.Done():
			return
		case <-t.C:
		}
		l.check(l.jobs.ctx, l.all())
		l.mu.Lock()
		if len(l.open) == 0 {
			l.looking = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
	}
}

// check ends those whose right has ended and tells how many did. Tokens that cannot
// be asked for go on: the feed does while the database is away.
func (l *lasting) check(ctx context.Context, all []*lastingOne) (n int) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	byID := map[string]Identity{}
	for _, one := range all {
		byID[one.who.ID] = one.who
	}
	if len(byID) == 0 {
		return 0
	}
	who := make([]Identity, 0, len(byID))
	for _, i := range byID {
		who = append(who, i)
	}
	bad, err := l.by.Ended(ctx, who)
	if err != nil && ctx.Err() == nil {
		l.failed(err)
	}
	for id, ended := range bad {
		if ended {
			l.forget(id)
		}
	}
	now := l.now()
	for _, one := range all {
		if bad[one.who.ID] || one.who.over(now) || one.who.chains != nil && l.gone(one.who.chains) {
			l.drop(one)
			n++
		}
	}
	return n
}
