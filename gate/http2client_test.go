package gate_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// framed is a client of HTTP/2 that sends what it is told, frame by frame.
type framed struct {
	net.Conn
	*http2.Framer
	t     testing.TB
	block bytes.Buffer
	enc   *hpack.Encoder
}

// newFramed connects to a gate in plaintext.
func newFramed(t testing.TB, addr string, settings ...http2.Setting) *framed {
	t.Helper()
	return overFrames(t, dialTCP(t, addr), settings...)
}

// overFrames begins HTTP/2 on a connection.
func overFrames(t testing.TB, c net.Conn, settings ...http2.Setting) *framed {
	t.Helper()
	f := &framed{Conn: c, Framer: http2.NewFramer(c, c), t: t}
	f.enc = hpack.NewEncoder(&f.block)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return f
}

// fields encodes fields, which are in pairs.
func (f *framed) fields(fields ...string) []byte {
	f.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = f.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // a buffer takes all
	}
	return f.block.Bytes()
}

// ask begins a request; more fields are behind the ones that must be there.
func (f *framed) ask(id uint32, method, host, path string, end bool, more ...string) {
	f.t.Helper()
	b := f.fields(append([]string{":method", method, ":scheme", "http", ":authority", host, ":path", path}, more...)...)
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b, EndStream: end, EndHeaders: true}); err != nil {
		f.t.Fatal(err)
	}
}

// answers reads until all of some streams have ended, or the connection has, and
// returns what became of each: its status and body, or how it was ended. What is
// said of the connection is that of stream 0. PINGs are answered.
func (f *framed) answers(ids ...uint32) map[uint32]string {
	f.t.Helper()
	got := map[uint32]string{}
	ended := map[uint32]bool{}
	for {
		left := false
		for _, id := range ids {
			left = left || !ended[id]
		}
		if !left {
			return got
		}
		frame, err := f.ReadFrame()
		if err != nil {
			got[0] += "ended"
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				f.t.Fatalf("streams %v have not ended; got %v", ids, got)
			}
			return got
		}
		id := frame.Header().StreamID
		switch x := frame.(type) {
		case *http2.MetaHeadersFrame:
			got[id] += x.PseudoValue("status")
			ended[id] = x.StreamEnded()
		case *http2.DataFrame:
			if len(x.Data()) > 0 {
				got[id] += fmt.Sprintf(" %s", x.Data())
			}
			ended[id] = x.StreamEnded()
		case *http2.RSTStreamFrame:
			if !ended[id] { // else it is that the rest of the request is not wanted
				got[id] += " " + x.ErrCode.String()
			}
			ended[id] = true
		case *http2.GoAwayFrame:
			got[0] += fmt.Sprintf("GOAWAY %d %s ", x.LastStreamID, x.ErrCode)
			ended[0] = true
		case *http2.PingFrame:
			if !x.IsAck() {
				_ = f.WritePing(true, x.Data)
			}
		}
	}
}

// until reads until a frame is as wanted.
func (f *framed) until(what string, is func(http2.Frame) bool) {
	f.t.Helper()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			f.t.Fatalf("%s: %v", what, err)
		}
		if is(frame) {
			return
		}
	}
}

// ends reads to the end of the connection.
func (f *framed) ends() {
	f.t.Helper()
	_ = f.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.Copy(io.Discard, f.Conn); err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			f.t.Fatal("the connection goes on")
		}
	}
}
