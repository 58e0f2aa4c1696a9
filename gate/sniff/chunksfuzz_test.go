package sniff_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/sniff"
)

// The grammar of RFC 9112 §7.1, as strictly as it can be read: no blank that is
// not part of an extension, no end of a line but CRLF.
var (
	slowSize    = regexp.MustCompile(`^([0-9A-Fa-f]{1,15})(;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n`)
	slowTrailer = regexp.MustCompile("^([!#$%&'*+\\-.^_`|~0-9A-Za-z]+:[^\\x00-\\x08\\x0a-\\x1f\\x7f]*)?\\r\\n")
)

// slowChunks reads a whole chunked body: what is in it, and how many bytes it
// takes; ok is false where it is malformed, is not all there, or has more beside
// its data than is taken.
func slowChunks(b []byte) (data []byte, n int, ok bool) {
	for {
		m := slowSize.FindSubmatch(b[n:])
		if m == nil || len(m[2]) > 1+1024 {
			return nil, 0, false
		}
		size, err := strconv.ParseInt(string(m[1]), 16, 64)
		if n += len(m[0]); err != nil || size == 0 {
			break
		}
		if int64(len(b)-n) < size+2 || string(b[n+int(size):n+int(size)+2]) != "\r\n" {
			return nil, 0, false
		}
		data = append(data, b[n:n+int(size)]...)
		n += int(size) + 2
	}
	for extra := 0; ; {
		m := slowTrailer.Find(b[n:])
		if extra += len(m) - 1; m == nil || extra > 8192 { // the LF does not count
			return nil, 0, false
		}
		if n += len(m); len(m) == 2 {
			return data, n, true
		}
	}
}

// httpChunks is what net/http reads.
func httpChunks(b []byte) (data []byte, n int, err error) {
	head := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	in := bytes.NewReader(append([]byte(head), b...))
	buffered := bufio.NewReaderSize(in, in.Len()+16) // or it finds no end of long trailers
	r, err := http.ReadRequest(buffered)
	if err != nil {
		return nil, 0, err
	}
	data, err = io.ReadAll(r.Body)
	return data, len(b) - buffered.Buffered() - in.Len(), err
}

// inPieces has chunks read a body in pieces of k bytes, stepping over what is
// data where the caller may. It returns what of the data it was shown, too.
func inPieces(c *sniff.Chunks, b []byte, k int) (data []byte, n int) {
	for rest := b; len(rest) > 0; {
		if d := c.Data(); d > 0 && int64(len(rest)) >= d && k%2 == 0 {
			c.Skip(d)
			data, n, rest = append(data, rest[:d]...), n+int(d), rest[d:]
			continue
		}
		piece := rest[:min(k, len(rest))]
		if d := c.Data(); d > 0 {
			piece = piece[:min(int64(len(piece)), d)]
			data = append(data, piece...)
		} else {
			piece = piece[:1] // or it is not known what of it is data
		}
		got := c.Next(piece)
		if n += got; got < len(piece) {
			break
		}
		rest = rest[got:]
	}
	return data, n
}

// FuzzChunks compares with the grammar, which it must agree with, and with
// net/http, which must read what passes in the same way; and one piece with many.
func FuzzChunks(f *testing.F) {
	for _, s := range []string{
		"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\nGET", "5;a=b\r\nhello\r\n0\r\nX: 1\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\n", "5\nhello\n0\n\n", "1\r\na\r\n1\r\nb\r\n00\r\n\r\n",
		"a ; b\r\n0123456789\r\n0\r\n\r\n", "1;\"\r\na\r\n0;x\r\nA:\r\nB: \t\r\nHost: u\r\n\r\n", "0\r\n A: b\r\n\r\n", "2\r\na\r\n\r\n0\r\n\r\n", "000000000000001\r\na\r\n0\r\n\r\n",
		strings.Repeat("1;"+strings.Repeat("x", 1024)+"\r\na\r\n", 20) + "0\r\n\r\n", "0\r\nA: " + strings.Repeat("x", 8190) + "\r\n\r\n",
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		var whole, parts sniff.Chunks
		n := whole.Next(b)
		if n < len(b) && !whole.Done() && !whole.Bad() {
			t.Fatalf("stopped at %d of %d", n, len(b))
		}
		data, m := inPieces(&parts, b, 1+cut&7)
		if m != n || whole.Done() != parts.Done() || whole.Bad() != parts.Bad() {
			t.Fatalf("whole: %d, done %v, bad %v; in parts: %d, %v, %v", n, whole.Done(), whole.Bad(), m, parts.Done(), parts.Bad())
		}
		slow, end, ok := slowChunks(b)
		if ok != whole.Done() || ok && (end != n || !bytes.Equal(slow, data)) {
			t.Fatalf("got %q, %d bytes, done %v; by the grammar %q, %d, %v", data, n, whole.Done(), slow, end, ok)
		}
		if !ok {
			return
		}
		twin, end, err := httpChunks(b)
		switch {
		case err != nil && strings.Contains(err.Error(), "too much non-data"): // many long extensions
		case err != nil:
			t.Errorf("%q passes, but net/http says: %v", b[:n], err)
		case end != n || !bytes.Equal(twin, data):
			t.Errorf("got %q, %d bytes; net/http reads %q, %d", data, n, twin, end)
		}
	})
}
