package spop_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/icpgate/icpgate/gate/authz/spop"
)

// The slow twin: the same protocol written down once more, from its text, with
// readers and big numbers, and without a thought for what it costs.

// slowSession answers a whole stream; it returns what each NOTIFY asked, how
// many bytes whole frames took, and why the connection ended, -1 for not at all.
func slowSession(in []byte) (asked []string, used int, ended int) {
	r := bytes.NewReader(in)
	limit, ready := int64(16380), false
	for {
		used = len(in) - r.Len()
		var length uint32
		if r.Len() < 4 {
			return asked, used, -1
		}
		_ = binary.Read(r, binary.BigEndian, &length)
		switch {
		case int64(length) > limit:
			return asked, used, 3
		case length < 7:
			return asked, used, 4
		case r.Len() < int(length):
			return asked, used, -1
		}
		body := make([]byte, length)
		_, _ = io.ReadFull(r, body)
		f := slowReader{bytes.NewReader(body)}
		kind, _ := f.ReadByte()
		var flags uint32
		_ = binary.Read(f, binary.BigEndian, &flags)
		stream, err1 := f.number()
		frame, err2 := f.number()
		if err1 != nil || err2 != nil {
			return asked, used, 4
		}
		used = len(in) - r.Len()
		if kind == 3 && ready {
			if flags != 1 {
				return asked, used, 10
			}
			messages, err := f.messages()
			if err != nil {
				return asked, used, 4
			}
			asked = append(asked, fmt.Sprintf("%s/%s:%s", stream, frame, messages))
			continue
		}
		switch {
		case flags&1 == 0 || kind == 0:
			return asked, used, 10
		case stream.Sign() != 0 || frame.Sign() != 0:
			return asked, used, 4
		case kind == 1 && !ready:
			size, healthcheck, status := f.hello()
			if status != 0 {
				return asked, used, status
			}
			ready, limit = true, size
			if healthcheck {
				return asked, used, 0
			}
		case kind == 2:
			status, err := f.disconnect()
			if err != nil {
				return asked, used, 4
			}
			return asked, used, status
		default:
			return asked, used, 4
		}
	}
}

type slowReader struct{ *bytes.Reader }

var errSlow = errors.New("bad")

// number reads a varint: the first byte, and where that is 240 or more, each
// further one times 2 to the power of 4, 11, 18 …, up to one below 128.
func (r slowReader) number() (*big.Int, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	sum := big.NewInt(int64(first))
	if first < 240 {
		return sum, nil
	}
	for i := range 9 {
		b, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		term := new(big.Int).Mul(big.NewInt(int64(b)), new(big.Int).Exp(big.NewInt(2), big.NewInt(int64(4+7*i)), nil))
		sum.Add(sum, term)
		if b < 128 {
			if sum.BitLen() > 64 {
				return nil, errSlow
			}
			return sum, nil
		}
	}
	return nil, errSlow
}

func (r slowReader) text() (string, error) {
	n, err := r.number()
	if err != nil {
		return "", err
	}
	if !n.IsInt64() || n.Int64() > int64(r.Len()) {
		return "", errSlow
	}
	b := make([]byte, n.Int64())
	_, err = io.ReadFull(r, b)
	return string(b), err
}

// value reads a typed value as words.
func (r slowReader) value() (kind byte, text string, number *big.Int, err error) {
	b, err := r.ReadByte()
	if err != nil {
		return 0, "", nil, err
	}
	kind, number = b%16, new(big.Int)
	switch kind {
	case 0:
	case 1:
		number.SetInt64(int64(b / 16 % 2))
	case 2, 3, 4, 5:
		number, err = r.number()
	case 6, 7:
		a := make([]byte, map[byte]int{6: 4, 7: 16}[kind])
		_, err = io.ReadFull(r, a)
		text = string(a)
	case 8, 9:
		text, err = r.text()
	default:
		err = errSlow
	}
	return kind, text, number, err
}

func (r slowReader) messages() (string, error) {
	var s strings.Builder
	for r.Len() > 0 {
		message, err := r.text()
		if err != nil {
			return "", err
		}
		n, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		for range int(n) {
			name, err := r.text()
			if err != nil {
				return "", err
			}
			kind, text, number, err := r.value()
			if err != nil {
				return "", err
			}
			s.WriteString(argText(message, name, kind, number.String(), text))
		}
	}
	return s.String(), nil
}

func argText(message, name string, kind byte, number, text string) string {
	return fmt.Sprintf("[%q %q %d %s %q]", message, name, kind, number, text)
}

func (r slowReader) hello() (size int64, healthcheck bool, status int) {
	type item struct {
		kind   byte
		text   string
		number *big.Int
	}
	items := map[string]item{}
	wanted := map[string]string{"supported-versions": "8", "max-frame-size": "2345", "capabilities": "8", "healthcheck": "1"}
	for r.Len() > 0 {
		key, err := r.text()
		if err != nil {
			return 0, false, 4
		}
		kind, text, number, err := r.value()
		if err != nil {
			return 0, false, 4
		}
		_, twice := items[key]
		if w, ok := wanted[key]; ok && (!strings.Contains(w, fmt.Sprint(kind)) || twice && key != "healthcheck") {
			return 0, false, 4
		}
		items[key] = item{kind, text, number}
	}
	for i, key := range []string{"supported-versions", "max-frame-size", "capabilities"} {
		if _, ok := items[key]; !ok {
			return 0, false, 5 + i
		}
	}
	found := false
	for _, v := range strings.Split(items["supported-versions"].text, ",") {
		found = found || strings.TrimSpace(v) == "2.0"
	}
	if !found {
		return 0, false, 8
	}
	most := items["max-frame-size"].number
	if most.Cmp(big.NewInt(256)) < 0 {
		return 0, false, 9
	}
	if most.Cmp(big.NewInt(1048572)) > 0 {
		most = big.NewInt(1048572)
	}
	h, ok := items["healthcheck"]
	return most.Int64(), ok && h.number.Sign() > 0, 0
}

func (r slowReader) disconnect() (status int, err error) {
	status = 99
	for r.Len() > 0 {
		key, err := r.text()
		if err != nil {
			return 0, err
		}
		kind, _, number, err := r.value()
		if err != nil {
			return 0, err
		}
		if key == "status-code" && kind >= 2 && kind <= 5 {
			if status = 99; number.Cmp(big.NewInt(99)) < 0 {
				status = int(number.Int64())
			}
		}
	}
	return status, nil
}

// asker notes what is asked as the twin does, and answers pass.
type asker struct {
	asked []string
	now   strings.Builder
	wants func(a *spop.Ack)
}

func (a *asker) Begin() { a.now.Reset() }

func (a *asker) Arg(message, name []byte, d spop.Data) {
	a.now.WriteString(argText(string(message), string(name), byte(d.Type), fmt.Sprint(d.Number), string(d.Bytes)))
}

func (a *asker) Answer(ack *spop.Ack) {
	a.asked = append(a.asked, a.now.String())
	if a.wants != nil {
		a.wants(ack)
	}
}
