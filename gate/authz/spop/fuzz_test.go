package spop_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/authz/spop"
	"github.com/icpgate/icpgate/gate/authz/spop/peer"
)

// recorded are whole connections of HAProxy 2.6.12, as an agent got them: a
// health check, requests in a pipeline, hellos of TLS, and nothing but the end.
// TestHAProxy makes them anew with ICP_RECORD naming their directory.
func recorded(t testing.TB) (list [][]byte) {
	t.Helper()
	paths, err := filepath.Glob("testdata/haproxy-*.spop")
	if err != nil || len(paths) < 3 {
		t.Fatalf("%d recordings, %v; want some", len(paths), err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}

// FuzzTake holds a session against its slow twin: the same questions, the same
// end, the same number of bytes used, whatever comes and however it is cut.
func FuzzTake(f *testing.F) {
	for _, b := range recorded(f) {
		f.Add(b, uint16(len(b)))
		f.Add(b, uint16(1))
	}
	f.Add(join(peer.HelloFrame(256), peer.NotifyFrame(1, 1, peer.Message("m", "host", "a.example", "x", nil, "y", true, "z", 1<<40, "b", []byte{1}))), uint16(30))
	f.Add(join(peer.HelloFrame(65532), peer.NotifyFrame(1, 1, peer.Message("m", "path", strings.Repeat("a", 40_000)))), uint16(0))
	f.Add(join(peer.HelloFrame(65532), []byte{0, 1, 0, 0}), uint16(3))
	f.Add(join(peer.HelloFrame(16380), peer.Frame(peer.Disconnect, 1, 0, 0, peer.Items("status-code", 99))), uint16(7))
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		asked, used, ended := slowSession(in)
		var s spop.Session
		a := new(asker)
		n, out, done := s.Take(in, nil, a)
		list := readAnswers(t, out)
		if n != used || done != (ended >= 0) || done && int(s.Ended()) != ended {
			t.Fatalf("used %d, done %v, %d; want %d, %d", n, done, s.Ended(), used, ended)
		}
		// The twin notes the numbers of a frame with what it asks.
		for i, q := range asked {
			_, asked[i], _ = strings.Cut(q, ":")
		}
		if !slices.Equal(a.asked, asked) {
			t.Fatalf("asked\n%q\nwant\n%q", a.asked, asked)
		}
		acks := slices.DeleteFunc(list, func(a peer.Answer) bool { return a.Kind != 103 })
		if len(acks) != len(asked) {
			t.Fatalf("%d answers to %d questions", len(acks), len(asked))
		}
		inPieces(t, in, int(step), n, out)
	})
}

// inPieces has bytes come step by step, which changes nothing.
func inPieces(t *testing.T, in []byte, step, used int, want []byte) {
	t.Helper()
	if step == 0 || len(in)/step > 200 {
		return
	}
	var s spop.Session
	a := new(asker)
	var out []byte
	at, done := 0, false
	for end := 0; end < len(in) && !done; {
		end = min(end+step, len(in))
		var n int
		n, out, done = s.Take(in[at:end], out, a)
		at += n
	}
	if at != used || string(out) != string(want) {
		t.Fatalf("in steps of %d: %d bytes used, answers % x; want %d, % x", step, at, out, used, want)
	}
}
