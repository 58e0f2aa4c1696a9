package gate

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// retry watches the beginning of TLS that is passed through: a server may ask for
// a second hello (HelloRetryRequest, RFC 8446 §4.1.4), which must not name another
// host than the first, or the pass of one would be lent to the other. Until the
// server has answered nothing passes that could be a second hello. Afterwards, for
// all but the few that are asked, nothing is looked at any more.
//
// It is a part of its relay. Each side belongs to the goroutine of its direction.
type retry struct {
	rel   *relay // nil: nothing is watched
	first asked  // whom the hello meant

	// Of the direction to the server.
	rest  *[]byte   // read and not sent on; nil is nothing
	at    int       // where in it that begins
	left  int       // bytes of a record that passes
	ended error     // what reading ended with, once it has
	by    time.Time // by when the second hello must be there

	reply *[]byte // of the server, until it is known what it is

	is atomic.Uint32 // answered
	mu sync.Mutex    // held to change is, and what follows
	// told is closed when is changes; nil where nobody waits for that.
	told chan struct{}
	// blind: bytes have passed in which nobody can tell where a record begins. No
	// server goes on behind them. It changes only before is does.
	blind bool
}

// answered is what a server's answer turned out to be.
type answered uint32

const (
	notYet answered = iota
	plainly
	askingAgain
)

var (
	// errRefused: the second hello may not pass; the client was told, if it can be.
	errRefused = errors.New("the second hello may not pass")
	errNoHello = errors.New("the second hello did not come in time")
)

// keep takes what was read of the client, of which n bytes have been sent on.
func (w *retry) keep(b *[]byte, n int) {
	if w.rest, w.at = b, n; n == len(*b) {
		w.giveBack()
	}
}

// know notes what the answer is; the first one counts.
func (w *retry) know(is answered) {
	if w.known() != notYet {
		return
	}
	w.mu.Lock()
	w.is.Store(uint32(is))
	if w.told != nil {
		close(w.told)
	}
	w.mu.Unlock()
}

// known returns what the answer is by now.
func (w *retry) known() answered { return answered(w.is.Load()) }

// await waits for the answer. It comes, or the other direction ends.
func (w *retry) await() {
	w.mu.Lock()
	if w.known() != notYet {
		w.mu.Unlock()
		return
	}
	w.told = make(chan struct{})
	w.mu.Unlock()
	<-w.told
}

// goBlind notes that nothing more can be told of what the client sends. It reports
// false where the answer has come in the meantime.
func (w *retry) goBlind() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blind = w.known() == notYet
	return w.blind
}

// begin passes on the beginning of a direction, as long as that is looked at.
func (w *retry) begin(server bool, moved func(int64) error) error {
	if server {
		return w.fromServer(moved)
	}
	return w.fromClient(moved)
}

// fromServer passes on the beginning of the answer, and notes before what it is.
// It may be called again after an error of time.
func (w *retry) fromServer(moved func(int64) error) error {
	for {
		_, err := w.rel.up.read(&w.reply)
		if w.reply == nil {
			return err
		}
		a := sniff.ServerAnswer(*w.reply)
		switch {
		case a == sniff.AnswerMore && err == nil:
			continue
		case a == sniff.AnswerMore && isTimeout(err):
			return err
		case a == sniff.AnswerRetry:
			if err := w.asked(); err != nil {
				return err
			}
		default:
			w.know(plainly)
		}
		n, werr := w.rel.client.Conn.Write(*w.reply)
		giveBack(w.reply)
		w.reply = nil
		if werr != nil {
			return &writeError{werr}
		}
		if merr := moved(int64(n)); merr != nil || err == nil {
			return merr
		}
		return err
	}
}

// asked is for when the server has asked for a second hello.
func (w *retry) asked() error {
	w.know(askingAgain)
	if !w.blind { // which does not change any more
		return nil
	}
	c := w.rel.conn
	c.s.metrics.sniffed(sniff.Malformed, sniff.BadSequence)
	if enforces, _ := c.inForce().treatment(c.from.Addr()); !enforces {
		return nil
	}
	return errRefused
}

// fromClient passes on what may pass, until all may. It may be called again after
// an error of time, and returns io.EOF at the client's end.
func (w *retry) fromClient(moved func(int64) error) error {
	for {
		done, err := w.pass(moved)
		switch {
		case done || err != nil:
			w.giveBack()
			return err
		case w.ended == io.EOF && w.rest != nil:
			w.giveBack()
			return io.ErrUnexpectedEOF // in the middle of a record
		case w.ended != nil:
			w.giveBack()
			return w.ended
		}
		if err := w.readMore(); err != nil {
			return err
		}
	}
}

// readMore reads on; what it ends with is noted, what is a matter of time
// returned.
func (w *retry) readMore() error {
	if w.at > 0 {
		*w.rest, w.at = (*w.rest)[:copy(*w.rest, (*w.rest)[w.at:])], 0
	}
	if !w.by.IsZero() {
		_ = w.rel.client.SetReadDeadline(w.by)
	}
	_, err := w.rel.client.read(&w.rest)
	late := !w.by.IsZero() && !time.Now().Before(w.by)
	switch {
	case late:
		w.giveBack()
		return errNoHello
	case isTimeout(err):
		return err
	}
	w.ended = err
	return nil
}

func (w *retry) giveBack() {
	if w.rest != nil {
		giveBack(w.rest)
		w.rest, w.at = nil, 0
	}
}

// pass sends on what may pass of what was read. It reports that nothing needs to
// be looked at any more, and all that was read has gone.
func (w *retry) pass(moved func(int64) error) (done bool, err error) {
	for {
		b := w.pending()
		switch is := w.known(); {
		case is == plainly:
			return true, w.send(len(b), moved)
		case len(b) == 0:
			return false, nil
		case w.left > 0:
			n := min(w.left, len(b))
			if err := w.send(n, moved); err != nil {
				return false, err
			}
			w.left -= n
		case mayPrecede(b[0]):
			if len(b) < recordHead {
				return false, nil
			}
			w.left = recordHead + int(binary.BigEndian.Uint16(b[3:]))
		case is == askingAgain:
			return w.second(b, moved)
		case b[0] == recordHandshake:
			w.await()
		case w.goBlind():
			return true, w.send(len(b), moved)
		}
	}
}

// Records, RFC 8446 §5.1. Those that may stand before a second hello, where a
// change of ciphers says nothing and early data is stepped over, are no hello.
const (
	recordHead      = 5
	recordCiphers   = 20
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

func mayPrecede(kind byte) bool {
	return kind == recordCiphers || kind == recordAlert || kind == recordData
}

func (w *retry) pending() []byte {
	if w.rest == nil {
		return nil
	}
	return (*w.rest)[w.at:]
}

// send sends on the first n bytes of what was read.
func (w *retry) send(n int, moved func(int64) error) error {
	if n == 0 {
		return nil
	}
	if _, err := w.rel.up.Conn.Write(w.pending()[:n]); err != nil {
		return &writeError{err}
	}
	w.keep(w.rest, w.at+n)
	return moved(int64(n))
}

// second reads the second hello, which b begins with.
func (w *retry) second(b []byte, moved func(int64) error) (done bool, err error) {
	c := w.rel.conn
	if w.by.IsZero() {
		w.by = time.Now().Add(c.s.timeouts.head)
	}
	join := lend()
	defer func() { giveBack(join) }()
	h := sniff.ClientHello(b, join)
	if h.Kind == sniff.More {
		return false, nil
	}
	a := hostOf(h.Kind, h.Name, registry.ChannelHTTPS)
	h.Name, h.ALPN = nil, nil
	switch {
	case h.Kind == sniff.Other:
		h.Kind, h.Cause, h.Alert = sniff.Malformed, sniff.BadSequence, sniff.BadSequence.Alert()
	case h.Kind != sniff.Malformed && a != w.first:
		h.Kind, h.Cause, h.Alert = sniff.Malformed, sniff.NameDiffers, sniff.NameDiffers.Alert()
	}
	c.s.metrics.sniffed(h.Kind, h.Cause)
	if h.Kind == sniff.Malformed {
		if err := w.malformed(h); err != nil {
			return false, err
		}
	}
	w.rel.renew(time.Now())
	return true, w.send(len(b), moved)
}

// malformed counts a second hello that may not pass, and refuses it unless
// verdicts are counted only.
func (w *retry) malformed(h sniff.Hello) error {
	c := w.rel.conn
	s := c.inForce()
	enforces, _ := s.treatment(c.from.Addr())
	v := registry.Verdict{Reason: registry.Malformed, Block: true}
	s.report(&c.route, w.first, v, enforces, h.Cause, "")
	if !enforces {
		return nil
	}
	c.refuseTLS(h, v)
	return errRefused
}

// end is for the end of the direction from the server: whoever waits for its
// answer waits no more.
func (w *retry) end() {
	if w.rel == nil {
		return
	}
	w.know(plainly)
	if w.reply != nil {
		giveBack(w.reply)
		w.reply = nil
	}
}
