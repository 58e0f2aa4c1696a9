package sniff

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// Answer is what a TLS server begins its answer to a hello with. The zero value is
// AnswerMore.
type Answer uint8

// The answers.
const (
	AnswerMore  Answer = iota // it is not all there yet
	AnswerRetry               // a HelloRetryRequest: the client says its hello again
	AnswerOther               // anything else
)

// retryRandom tells a HelloRetryRequest from another ServerHello, RFC 8446 §4.1.3.
var retryRandom = sha256.Sum256([]byte("HelloRetryRequest"))

// serverHello is the type of the message, RFC 8446 §4; its random stands behind
// the head and the version.
const (
	serverHello  = 2
	beforeRandom = handshakeHead + 2
)

// ServerAnswer reads the beginning of what a server sends. b is all that was read
// of it. The caller reads on and calls again while it is AnswerMore, which it is
// for no more than some records. Warnings before the message are stepped over, as
// older servers send them.
func ServerAnswer(b []byte) Answer {
	for have, n := 0, 0; n < maxAnswerRecords; n++ {
		if len(b) == 0 {
			return AnswerMore
		}
		if b[0] == typeAlert && have == 0 {
			var a Answer
			if b, a = afterWarning(b); a == AnswerOther {
				return AnswerOther
			}
			continue
		}
		if badRecord(b) != NoCause {
			return AnswerOther
		}
		if len(b) < recordHead {
			return AnswerMore
		}
		end := recordHead + int(binary.BigEndian.Uint16(b[3:]))
		part := b[recordHead:min(len(b), end)]
		if len(part) == 0 {
			return AnswerMore
		}
		if !isRetry(part, have) {
			return AnswerOther
		}
		if have += len(part); have >= beforeRandom+len(retryRandom) {
			return AnswerRetry
		}
		if b = b[min(len(b), end):]; len(b) == 0 {
			return AnswerMore
		}
	}
	return AnswerOther
}

// maxAnswerRecords bounds the records that the beginning of an answer may lie in:
// one for each of its bytes, and some warnings.
const maxAnswerRecords = beforeRandom + sha256.Size + 8

// isRetry reports whether a part of a message, of which at bytes came before it,
// may belong to a HelloRetryRequest.
func isRetry(part []byte, at int) bool {
	if at == 0 && part[0] != serverHello {
		return false
	}
	if skip := beforeRandom - at; skip > 0 {
		if len(part) <= skip {
			return true
		}
		part, at = part[skip:], beforeRandom
	}
	random := retryRandom[min(at-beforeRandom, len(retryRandom)):]
	n := min(len(part), len(random))
	return bytes.Equal(part[:n], random[:n])
}

// typeAlert, and the level of an alert that ends nothing, RFC 5246 §7.2.
const (
	typeAlert = 21
	warning   = 1
)

// afterWarning returns what follows a warning; AnswerOther where it is none.
func afterWarning(b []byte) ([]byte, Answer) {
	const whole = recordHead + 2 // level and description
	head := [...]byte{typeAlert, 3, 0, 0, 2, warning}
	for i, want := range head[:min(len(b), len(head))] {
		if i != 2 && b[i] != want { // the minor version may be any
			return nil, AnswerOther
		}
	}
	if len(b) < whole {
		return nil, AnswerMore
	}
	return b[whole:], AnswerMore
}
