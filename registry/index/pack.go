package index

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// This file has how names, numbers and times lie in records: in few bytes, one
// way for each value, since records are compared as bytes.

// suffixes are ends of names that are stored as a number: those that most filed
// names have. They belong to the format.
var suffixes = [8]string{"", ".com", ".cn", ".com.cn", ".net", ".gov.cn", ".org", ".top"}

// longFront in the length says that the rest of the length follows.
const longFront = 31

// suffixOf returns the longest of suffixes in which name ends.
func suffixOf(name string) (best int) {
	for i, s := range suffixes {
		if len(s) > len(suffixes[best]) && strings.HasSuffix(name, s) {
			best = i
		}
	}
	return best
}

// appendName packs a name: a byte with the suffix in its low three bits and the
// length of what stands before it above, then that.
func appendName(b []byte, name string) []byte {
	i := suffixOf(name)
	front := name[:len(name)-len(suffixes[i])]
	n := min(len(front), longFront)
	b = append(b, byte(i|n<<3))
	if n == longFront {
		b = binary.AppendUvarint(b, uint64(len(front)-longFront))
	}
	return append(b, front...)
}

// front takes what appendName wrote, in its two parts.
func (r *reader) front() (front []byte, suffix string) {
	head := r.u8()
	n := uint64(head >> 3)
	if n == longFront {
		n += min(r.uvarint(), maxRecord)
	}
	return r.bytes(int(n)), suffixes[head&7]
}

// name is front as a Domain; what is no canonical name is bad.
func (r *reader) name() registry.Domain {
	front, suffix := r.front()
	if r.bad {
		return registry.Domain{}
	}
	text := string(front) + suffix
	d, err := registry.ParseDomain(text)
	if r.bad = err != nil || d.String() != text; r.bad {
		return registry.Domain{}
	}
	return d
}

// numberProvinces are the letters of numbers in the order of their regions'
// codes. They belong to the format.
var numberProvinces = strings.Split("京 津 冀 晋 蒙 辽 吉 黑 沪 苏 浙 皖 闽 赣 鲁 豫 鄂 湘 粤 桂 琼 渝 蜀 黔 滇 藏 陕 陇 青 宁 新", " ")

// provinceOf has the place of each letter among them.
var provinceOf = func() map[string]byte {
	of := map[string]byte{}
	for i, letter := range numberProvinces {
		of[letter] = byte(i)
	}
	return of
}()

// The first byte of a number: none, a text, or from numberPlain on twice the
// province and 1 for a licence.
const (
	numberNone = iota
	numberText
	numberPlain
)

// numberWords stand between letter and digits, by the low bit.
var numberWords = [2]string{"ICP备", "ICP证"}

const numberEnd = "号"

// appendNumber packs a number: province and kind, digits with a 1 in front,
// ordinal and letter; or as a text where it is of another form.
func appendNumber(b []byte, n registry.Number) []byte {
	if n.IsZero() {
		return append(b, numberNone)
	}
	province, ok := provinceOf[n.Province()]
	licence := n.Kind() == registry.NumberLicence
	if ok && (licence || n.Kind() == registry.NumberFiling) {
		b = binary.AppendUvarint(append(b, numberPlain+province<<1|flag(licence)), n.Digits())
		return binary.AppendUvarint(b, uint64(n.Ordinal())<<2|uint64(n.Service()))
	}
	var buf [96]byte
	text, _ := n.AppendText(buf[:0]) // never fails
	return appendString(append(b, numberText), string(text))
}

// number takes what appendNumber wrote.
func (r *reader) number() (n registry.Number) {
	head := r.u8()
	switch {
	case head == numberNone:
		return n
	case head == numberText:
		r.text(&n)
		return n
	case int(head-numberPlain)>>1 >= len(numberProvinces):
		r.bad = true
		return n
	}
	digits, which := strconv.FormatUint(r.uvarint(), 10), r.uvarint()
	head -= numberPlain
	text := numberProvinces[head>>1] + numberWords[head&1] + digits[1:] + numberEnd
	if which>>2 > 0 {
		text += "-" + strconv.FormatUint(which>>2, 10) + [4]string{"", "A", "X", "K"}[which&3]
	}
	if err := n.UnmarshalText([]byte(text)); err != nil {
		r.bad = true
	}
	return n
}

// Times count from a day in the middle of those on which sites were filed, so
// that a whole day takes two bytes from 2009 to 2024 and three in any case.
const (
	middle = 17167 * day // 2017-01-01
	day    = 86400
	china  = 8 * 3600 // where days of filing begin
)

// maxTime keeps what is done with times from overflowing; it is 9·10⁹ years.
const maxTime = 1 << 58

// appendTime packs Unix seconds after from: 0 if they are unknown (or beyond
// maxTime), else 1 + 3·distance + unit, where the units are whole days in UTC,
// whole days in China, and seconds, and the distance is a zigzag number.
func appendTime(b []byte, seconds int64, known bool, from int64) []byte {
	if !known || seconds >= maxTime || seconds <= -maxTime {
		return append(b, 0)
	}
	distance := seconds - from
	for unit, offset := range [2]int64{0, china} {
		if (seconds+offset)%day == 0 {
			d := floorDay(seconds+offset) - floorDay(from)
			return binary.AppendUvarint(b, 1+3*zigzag(d)+uint64(unit))
		}
	}
	return binary.AppendUvarint(b, 1+3*zigzag(distance)+2)
}

// time takes what appendTime wrote.
func (r *reader) time(from int64) (seconds int64, known bool) {
	v := r.uvarint()
	if v == 0 {
		return 0, false
	}
	d := unzigzag((v - 1) / 3)
	switch (v - 1) % 3 {
	case 0:
		return (floorDay(from) + d) * day, true
	case 1:
		return (floorDay(from)+d)*day - china, true
	}
	return from + d, true
}

func floorDay(seconds int64) int64 {
	d := seconds / day
	if seconds%day < 0 {
		d--
	}
	return d
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
