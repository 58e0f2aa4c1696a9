package sniff_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/quic-go/quic-go/quicvarint"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// numbers is a row of varints.
func numbers(list ...uint64) (b []byte) {
	for _, n := range list {
		b = append(b, initial.Varint(n)...)
	}
	return b
}

// payloads are those of Initial packets, and whether they may be.
var payloads = []struct {
	name  string
	b     []byte
	count int // of frames; -1: malformed
}{
	{"padding", make([]byte, 100), 1},
	{"ping", []byte{1}, 1},
	{"ping among padding", []byte{0, 0, 1, 0}, 3},
	{"ACK", numbers(2, 5, 0, 0, 5), 1},
	{"ACK of three ranges", numbers(2, 100, 7, 2, 10, 0, 3, 20, 60), 1},
	{"ACK down to zero", numbers(2, 10, 0, 1, 4, 2, 2), 1},
	{"ACK below zero", numbers(2, 10, 0, 1, 4, 2, 3), -1},
	{"ACK with a gap below zero", numbers(2, 10, 0, 1, 9, 0, 0), -1},
	{"ACK of more than there was", numbers(2, 5, 0, 0, 6), -1},
	{"ACK with ECN", numbers(3, 5, 0, 0, 5, 1, 2, 3), 1},
	{"ACK with half an ECN", numbers(3, 5, 0, 0, 5, 1, 2), -1},
	{"ACK of 2^62-1 ranges", numbers(2, 1<<62-1, 0, 1<<62-1, 0), -1},
	{"CRYPTO", initial.Crypto(0, []byte("abc")), 1},
	{"CRYPTO without data", initial.Crypto(9, nil), 1},
	{"CRYPTO cut short", initial.Crypto(0, []byte("abc"))[:5], -1},
	{"CRYPTO without a length", []byte{6, 0}, -1},
	{"CRYPTO at 2^62-1", append(append([]byte{6}, numbers(1<<62-1, 1)...), 'a'), 1},
	{"CONNECTION_CLOSE", append(numbers(0x1c, 0x170, 6, 3), "bye"...), 1},
	{"CONNECTION_CLOSE cut short", append(numbers(0x1c, 0x170, 6, 4), "bye"...), -1},
	{"CONNECTION_CLOSE of an application", append(numbers(0x1d, 0x170, 3), "bye"...), -1},
	{"STREAM", []byte{8, 0, 'a'}, -1},
	{"RESET_STREAM", numbers(4, 0, 0, 0), -1},
	{"NEW_TOKEN", []byte{7, 1, 'a'}, -1},
	{"HANDSHAKE_DONE", []byte{0x1e}, -1},
	{"unknown", []byte{0x3f}, -1},
	{"CRYPTO, written long", append([]byte{0x40, 6}, initial.Crypto(0, []byte("abc"))[1:]...), -1},
	{"PADDING, written long", []byte{0x40, 0}, -1},
	{"unknown behind good ones", append(initial.Crypto(0, []byte("abc")), 0, 1, 0x20), -1},
}

func TestFrames(t *testing.T) {
	for _, tt := range payloads {
		frames, cause := sniff.Frames(tt.b)
		if tt.count < 0 && cause != sniff.BadFrame || tt.count >= 0 && (cause != sniff.NoCause || len(frames) != tt.count) {
			t.Errorf("%s: got %+v, cause %q; want %d", tt.name, frames, cause, tt.count)
		}
	}
}

// twinFrames walks a payload with the numbers of another library; the frames are
// those with CRYPTO data, also of what is before a frame that may not be there.
func twinFrames(b []byte) (crypto []sniff.Frame, ok bool) {
	r := bytes.NewReader(b)
	next := func() uint64 {
		n, err := quicvarint.Read(r)
		if err != nil {
			panic(err)
		}
		return n
	}
	data := func(n uint64) []byte {
		if n > uint64(r.Len()) {
			panic("cut short")
		}
		v := make([]byte, n)
		_, _ = r.Read(v)
		return v
	}
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	for r.Len() > 0 {
		kind, _ := r.ReadByte()
		switch kind {
		case 0, 1:
		case 2, 3:
			at := int64(next())
			next()
			ranges := next()
			for at -= int64(next()); ranges > 0 && at >= 0; ranges-- {
				at -= int64(next()) + 2
				if at < 0 {
					return crypto, false
				}
				at -= int64(next())
			}
			if at < 0 {
				return crypto, false
			}
			for i := byte(2); i < kind; i++ {
				next()
				next()
				next()
			}
		case 6:
			offset := next()
			crypto = append(crypto, sniff.Frame{Kind: 6, Offset: offset, Data: data(next())})
		case 0x1c:
			next()
			next()
			data(next())
		default:
			return crypto, false
		}
	}
	return crypto, true
}

// FuzzQUICFrames compares the walker with its twin, and with what Feed makes of
// the payload when it comes in a packet.
func FuzzQUICFrames(f *testing.F) {
	for _, tt := range payloads {
		f.Add(tt.b)
	}
	var w sniff.QUICWork
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1400 {
			return
		}
		want, ok := twinFrames(b)
		frames, cause := sniff.Frames(b)
		got := slices.DeleteFunc(slices.Clone(frames), func(f sniff.Frame) bool { return f.Kind != 6 })
		same := slices.EqualFunc(got, want, func(a, b sniff.Frame) bool { return a.Offset == b.Offset && bytes.Equal(a.Data, b.Data) })
		if (cause == sniff.NoCause) != ok || ok && !same {
			t.Fatalf("got %+v, cause %q; want %+v, %t", got, cause, want, ok)
		}
		var q sniff.QUICHello
		q.Start(sniff.QUICv1, serverID)
		seen := q.Feed(initial.Packet{DCID: serverID, Payload: b, NumberSize: 4}.Seal(), &w)
		if seen.Opened != 1 || seen.Failed != 0 || !ok && seen.Hello.Kind != sniff.Malformed || len(b) > 0 && !ok && seen.Fit() {
			t.Fatalf("got %+v for frames that may be there: %t", seen, ok)
		}
	})
}
