package gate

import (
	"errors"
	"io"
)

// writeError is an error of the taker. It is no other error, so that nobody
// takes it for one of the source: bytes are lost.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }

// pump moves bytes from one side to the other until the source ends, or limit
// bytes are moved (below 0: no limit). moved is told of every piece, and ends
// the pump with an error. It returns how many bytes were moved; reaching the
// source's end before the limit is io.ErrUnexpectedEOF.
//
// Between the system's connections bytes that come in bulk go through a pipe of
// the kernel and are never seen here; a few are copied, which is cheaper, and so
// are all while there is no descriptor left for a pipe. Nothing is held while the
// source is silent.
func pump(dst, src *side, limit int64, moved func(n int64) error) (int64, error) {
	if dst.raw == nil || src.raw == nil || !canSplice(dst, src) {
		return copyBytes(dst, src, limit, moved)
	}
	if limit >= 0 {
		return pumpSome(dst, src, limit, moved)
	}
	for total := int64(0); ; {
		n, bulk, err := copyPiece(dst, src, moved)
		if total += n; err != nil {
			return total, ended(err, limit)
		}
		if bulk {
			n, err := splice(dst, src, limit, moved)
			if total += n; err != errFew && err != errNoPipe {
				return total, err
			}
		}
	}
}

// pumpSome is pump with a limit. Where there is no pipe it looks for one again
// after some copied bytes.
func pumpSome(dst, src *side, limit int64, moved func(int64) error) (total int64, err error) {
	for {
		n, err := splice(dst, src, limit-total, moved)
		if total += n; err != errNoPipe {
			return total, err
		}
		n, err = copyBytes(dst, src, min(limit-total, copiedBetween), moved)
		if total += n; err != nil || total == limit {
			return total, err
		}
	}
}

// copiedBetween is how much is copied before a pipe is asked for again: what one
// holds.
const copiedBetween = 1 << 20

var (
	// errFew ends a splice without a limit when little comes at a time.
	errFew = errors.New("little comes at a time")
	// errNoPipe ends a splice for which the system has no pipe.
	errNoPipe = errors.New("no descriptor is left for a pipe")
)

// copyPiece moves what there is to read, and reports whether that was as much as
// a buffer holds.
func copyPiece(dst, src *side, moved func(int64) error) (_ int64, bulk bool, err error) {
	var b *[]byte
	n, err := src.read(&b)
	if b == nil {
		return 0, false, err
	}
	defer giveBack(b)
	if _, werr := dst.Conn.Write(*b); werr != nil {
		dst.late(werr)
		return int64(n), false, &writeError{werr}
	}
	if merr := moved(int64(n)); merr != nil {
		return int64(n), false, merr
	}
	return int64(n), n >= bufferSize, err
}

func copyBytes(dst, src *side, limit int64, moved func(int64) error) (total int64, err error) {
	for limit < 0 || total < limit {
		n, err := copyBounded(dst, src, limit-total, limit >= 0)
		total += int64(n)
		if n > 0 {
			if err := moved(int64(n)); err != nil {
				return total, err
			}
		}
		if err != nil {
			return total, ended(err, limit)
		}
	}
	return total, nil
}

// copyBounded reads once and writes it; most bounds it where bounded.
func copyBounded(dst, src *side, most int64, bounded bool) (n int, err error) {
	b := lend()
	defer giveBack(b)
	room := (*b)[:cap(*b)]
	if bounded && most < int64(len(room)) {
		room = room[:most]
	}
	n, err = src.Conn.Read(room)
	if n > 0 {
		if _, werr := dst.Conn.Write(room[:n]); werr != nil {
			dst.late(werr)
			return n, &writeError{werr}
		}
	}
	return n, err
}

// ended is what the end of a source means for a pump.
func ended(err error, limit int64) error {
	switch {
	case err == io.EOF && limit < 0:
		return nil
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}
