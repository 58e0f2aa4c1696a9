package sniff_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff"
)

// warnings are alerts that end nothing, each in a record.
func warnings(n int) []byte { return bytes.Repeat([]byte{21, 3, 3, 0, 2, 1, 112}, n) }

func answerSeeds() map[string][]byte {
	retry, server := hello.Retry(), hello.Server()
	behind := []byte{20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 1, 0}
	small := slices.Repeat([]int{1}, 60)
	return map[string][]byte{
		"retry":                        hello.Records(retry),
		"retry, something behind":      append(hello.Records(retry), behind...),
		"retry in small records":       hello.Records(retry, small...),
		"retry, cut in the random":     hello.Records(retry, 20),
		"retry behind warnings":        append(warnings(2), hello.Records(retry)...),
		"server hello":                 append(hello.Records(server), behind...),
		"server hello behind warnings": append(warnings(2), hello.Records(server, small...)...),
		"many warnings":                warnings(100),
		"fatal":                        {21, 3, 3, 0, 2, 2, 40},
		"warning within the message":   slices.Concat(hello.Records(retry[:10]), warnings(1), hello.Records(retry[10:])),
		"empty record":                 append([]byte{22, 3, 3, 0, 0}, hello.Records(retry)...),
		"client hello":                 hello.For("filed.example"),
		"plaintext":                    []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"nothing":                      {},
	}
}

// answerTwin puts all records together first, and then looks.
func answerTwin(b []byte) sniff.Answer {
	var msg []byte
	for records := 0; ; records++ {
		switch {
		case len(msg) >= 38 || records == 46:
			want := sha256.Sum256([]byte("HelloRetryRequest"))
			if len(msg) >= 38 && msg[0] == 2 && bytes.Equal(msg[6:38], want[:]) {
				return sniff.AnswerRetry
			}
			return sniff.AnswerOther
		case len(b) < 5:
			return sniff.AnswerMore
		}
		n := int(b[3])<<8 | int(b[4])
		switch {
		case b[0] == 21 && b[1] == 3 && n == 2 && len(msg) == 0:
			if len(b) < 7 {
				return sniff.AnswerMore
			}
			if b[5] != 1 {
				return sniff.AnswerOther
			}
			b = b[7:]
			continue
		case b[0] != 22 || b[1] != 3 || n == 0 || n > 1<<14:
			return sniff.AnswerOther
		case len(b) < 5+n && len(msg)+len(b)-5 < 38:
			return sniff.AnswerMore
		}
		msg = append(msg, b[5:min(len(b), 5+n)]...)
		b = b[min(len(b), 5+n):]
	}
}

// TestServerAnswer: whatever part of an answer is there, it is told as soon as it
// can be, and never otherwise than the whole.
func TestServerAnswer(t *testing.T) {
	for name, b := range answerSeeds() {
		whole := sniff.ServerAnswer(b)
		if want := answerTwin(b); whole != want {
			t.Errorf("%s: got %d; want %d", name, whole, want)
		}
		for n := range b {
			if got := sniff.ServerAnswer(b[:n]); got != whole && got != sniff.AnswerMore {
				t.Errorf("%s: got %d of %d bytes; want %d", name, got, n, whole)
			}
		}
	}
	retry := hello.Records(hello.Retry())
	if got := sniff.ServerAnswer(retry[:43]); got != sniff.AnswerRetry {
		t.Errorf("got %d of the head and the random; want it to be enough", got)
	}
	if n := testing.AllocsPerRun(100, func() { sniff.ServerAnswer(retry) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzServerAnswer compares with a twin that is slow and does not look early.
func FuzzServerAnswer(f *testing.F) {
	for _, b := range answerSeeds() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, want := sniff.ServerAnswer(b), answerTwin(b)
		// What cannot become a retry is told before the twin has it all together.
		if got != want && !(got == sniff.AnswerOther && want == sniff.AnswerMore) {
			t.Errorf("got %d; the twin %d", got, want)
		}
	})
}
