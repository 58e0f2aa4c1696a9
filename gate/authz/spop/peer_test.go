package spop_test

import (
	"testing"

	"github.com/icpgate/icpgate/gate/authz/spop"
	"github.com/icpgate/icpgate/gate/authz/spop/peer"
)

// readAnswers takes apart what an agent sent.
func readAnswers(t testing.TB, b []byte) (list []peer.Answer) {
	t.Helper()
	for len(b) > 0 {
		a, n, err := peer.ReadAnswer(b)
		if err != nil || n == 0 {
			t.Fatalf("answer %q: %v", b, err)
		}
		list, b = append(list, a), b[n:]
	}
	return list
}

// take has a new session take all of b, and returns what it said.
func take(t testing.TB, b []byte, a *asker) (list []peer.Answer, n int, done bool) {
	t.Helper()
	var s spop.Session
	n, out, done := s.Take(b, nil, a)
	return readAnswers(t, out), n, done
}

func join(frames ...[]byte) (b []byte) {
	for _, f := range frames {
		b = append(b, f...)
	}
	return b
}
