package bulk

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Encoding is how a file writes characters. The zero value finds it from the
// content.
type Encoding uint8

// The encodings.
const (
	EncodingAuto    Encoding = iota
	EncodingUTF8             // with or without byte order mark
	EncodingGB18030          // and with it GBK and GB2312
	EncodingUTF16            // told by its byte order mark alone
)

var encodingWords = [...]string{"auto", "utf-8", "gb18030", "utf-16"}

// ParseEncoding reads the word of an encoding; gbk and gb2312 stand for
// gb18030, of which they are parts.
func ParseEncoding(s string) (Encoding, error) {
	switch l := strings.ToLower(s); l {
	case "gbk", "gb2312":
		return EncodingGB18030, nil
	case "utf8":
		return EncodingUTF8, nil
	default:
		for i, w := range encodingWords {
			if w == l {
				return Encoding(i), nil
			}
		}
	}
	return 0, fmt.Errorf("unknown encoding %q; expect %s", s, strings.Join(encodingWords[:], ", "))
}

// String returns the word of e, for example "gb18030".
func (e Encoding) String() string { return wordOf(encodingWords[:], uint8(e)) }

// encodingSample is how much is looked at to tell UTF-8 from GB18030.
const encodingSample = 64 << 10

// decoder reads a file as UTF-8. The encoding is decided at the first byte that
// is not ASCII, wherever that stands.
type decoder struct {
	src   *bufio.Reader
	out   io.Reader // set once the encoding is decided
	found Encoding  // EncodingAuto while everything was ASCII
	began bool
}

func newDecoder(r io.Reader, told Encoding) *decoder {
	d := &decoder{src: bufio.NewReaderSize(r, 4*encodingSample)}
	if told != EncodingAuto {
		d.decide(told)
	}
	return d
}

// Read implements io.Reader.
func (d *decoder) Read(p []byte) (int, error) {
	if !d.began && d.out == nil {
		d.began = true
		if mark, _ := d.src.Peek(2); len(mark) == 2 && (mark[0] == 0xff && mark[1] == 0xfe || mark[0] == 0xfe && mark[1] == 0xff) {
			d.decide(EncodingUTF16)
		}
	}
	if d.out == nil {
		if n, err := d.ascii(p); n > 0 || err != nil {
			return n, err
		}
		sample, _ := d.src.Peek(encodingSample) // an error comes again when it is read
		d.decide(guess(sample))
	}
	return d.out.Read(p)
}

func (d *decoder) decide(e Encoding) {
	d.found = e
	switch e {
	case EncodingGB18030:
		d.out = transform.NewReader(d.src, simplifiedchinese.GB18030.NewDecoder())
	case EncodingUTF16:
		d.out = transform.NewReader(d.src, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder())
	default:
		d.out = d.src
	}
}

// ascii hands over what stands before the first byte that is not ASCII.
func (d *decoder) ascii(p []byte) (int, error) {
	if _, err := d.src.Peek(1); err != nil {
		return 0, err
	}
	b, _ := d.src.Peek(min(d.src.Buffered(), len(p)))
	n := 0
	for n < len(b) && b[n] < utf8.RuneSelf {
		n++
	}
	copy(p, b[:n])
	_, err := d.src.Discard(n)
	return n, err
}

// guess tells UTF-8 from GB18030 by a sample that holds a byte above ASCII. In
// Chinese text written in GB18030 hardly any two bytes are a character of
// UTF-8, so a few broken bytes in UTF-8 do not mislead.
func guess(sample []byte) Encoding {
	good, bad := 0, 0
	for len(sample) > 0 {
		if sample[0] < utf8.RuneSelf {
			sample = sample[1:]
			continue
		}
		r, n := utf8.DecodeRune(sample)
		switch {
		case r != utf8.RuneError || n > 1:
			good += n // a character of GB18030 is two bytes: weigh by length
		case !utf8.FullRune(sample):
			// cut at the end of the sample
		default:
			bad++
		}
		sample = sample[n:]
	}
	if bad > good {
		return EncodingGB18030
	}
	return EncodingUTF8
}
