package registry

import (
	"strconv"
	"strings"
)

// Number is a filing number (备案号): an entity number (主体备案号) such as
// 京ICP备12345678号, or a site number (网站备案号) such as 京ICP备12345678号-1A.
// A commercial licence number (ICP证, 增值电信业务经营许可证) counts as one.
// Numbers are 16 bytes, comparable and safe for concurrent use. The zero Number
// is no number. (Rule book 5.1; for the letters HW, App备案咨询.)
type Number struct {
	// digits has a 1 in front of the number's digits, which keeps leading
	// zeros: 105001 is 05001, another number than 5001.
	digits   uint64
	ordinal  uint32 // 0 in an entity number
	kind     NumberKind
	province uint8 // index into provinces, 0 for none
	classes  uint8 // of a value-added licence: bit i is classWords[i]
	service  Kind  // what the letter after the ordinal states
}

// NumberKind is what a number is the number of. The zero value is NumberNone.
type NumberKind uint8

// The kinds of numbers.
const (
	NumberNone       NumberKind = iota // no number
	NumberFiling                       // 京ICP备12345678号
	NumberLicence                      // 京ICP证030173号: ICP许可证
	NumberValueAdded                   // 粤B2-20090059: 增值电信业务经营许可证 used as a number
)

var numberKindWords = words{"none", "filing", "licence", "value-added"}

// String returns the word of k, for example "value-added".
func (k NumberKind) String() string { return numberKindWords.of(uint8(k)) }

// classWords are the classes of telecom services that a value-added licence is
// for; a licence for several has them joined with dots: A2.B1.B2-20090001.
var classWords = [...]string{"A1", "A2", "B1", "B2"}

// serviceLetters stand after the ordinal. All services of one entity share one
// series of ordinals. Source: HW, App备案咨询.
var serviceLetters = [...]string{KindSite: "", KindApp: "A", KindMiniProgram: "X", KindQuickApp: "K"}

// maxOrdinal leaves room above the highest ordinals seen, of four digits
// (粤B2-20090059-1626X).
const maxOrdinal = 99999

// IsZero reports whether n is no number.
func (n Number) IsZero() bool { return n == Number{} }

// Kind returns what n is the number of.
func (n Number) Kind() NumberKind { return n.kind }

// Province returns the letter of the province that gave n, for example "京";
// empty for a value-added licence of the ministry itself.
func (n Number) Province() string { return provinces[n.province].letter }

// Entity returns n without ordinal and letter: the entity number.
func (n Number) Entity() Number {
	n.ordinal, n.service = 0, KindSite
	return n
}

// HasOrdinal reports whether n names one site (or app) of its entity.
func (n Number) HasOrdinal() bool { return n.ordinal > 0 }

// Ordinal returns which of the entity's sites n names; 0 for an entity number.
func (n Number) Ordinal() int { return int(n.ordinal) }

// Service returns the kind that the letter after the ordinal states; without a
// letter KindSite, also for a site filed by its address.
func (n Number) Service() Kind { return n.service }

// Site returns the number of the entity's i-th site, of kind k. It is the zero
// Number if n is, or i is not from 1 to 99999.
func (n Number) Site(i int, k Kind) Number {
	if n.IsZero() || i < 1 || i > maxOrdinal {
		return Number{}
	}
	n.ordinal, n.service = uint32(i), KindSite
	if k.App() {
		n.service = k
	}
	return n
}

// String returns the canonical form, for example "京ICP备12345678号-1"; empty
// for the zero Number.
func (n Number) String() string {
	var most [48]byte              // longer ones are rare
	b, _ := n.AppendText(most[:0]) // never fails
	return string(b)
}

// MarshalText writes the canonical form.
func (n Number) MarshalText() ([]byte, error) { return n.AppendText(nil) }

// AppendText appends the canonical form to b.
func (n Number) AppendText(b []byte) ([]byte, error) {
	if n.IsZero() {
		return b, nil
	}
	b = append(b, n.Province()...)
	switch n.kind {
	case NumberFiling:
		b = append(appendDigits(append(b, "ICP备"...), n.digits), "号"...)
	case NumberLicence:
		b = append(appendDigits(append(b, "ICP证"...), n.digits), "号"...)
	default:
		b = appendDigits(append(appendClasses(b, n.classes), '-'), n.digits)
	}
	if n.ordinal > 0 {
		b = strconv.AppendUint(append(b, '-'), uint64(n.ordinal), 10)
		b = append(b, serviceLetters[n.service]...)
	}
	return b, nil
}

// appendDigits appends d without the 1 in front.
func appendDigits(b []byte, d uint64) []byte {
	at := len(b)
	b = strconv.AppendUint(b, d, 10)
	return append(b[:at], b[at+1:]...)
}

func appendClasses(b []byte, classes uint8) []byte {
	sep := ""
	for i, class := range classWords {
		if classes&(1<<i) != 0 {
			b, sep = append(append(b, sep...), class...), "."
		}
	}
	return b
}

// UnmarshalText reads what ParseNumber reads; an empty text is the zero Number.
func (n *Number) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*n = Number{}
		return nil
	}
	*n, _, err = ParseNumber(string(b))
	return err
}

// NumberWarnings are the ways in which a text differs from the canonical form
// of the number it was read as. The zero value is none.
type NumberWarnings uint16

// The warnings. WarnDigits and WarnRegion tell of the number itself; the other
// ones are gone when the number is written again.
const (
	WarnProvince     NumberWarnings = 1 << iota // 川 for 蜀, 甘 for 陇 …; 合字 for none
	WarnTraditional                             // 備, 號, 滬 …
	WarnFullWidth                               // ＩＣＰ, １２３, －, （
	WarnLowerCase                               // icp
	WarnSpaces                                  // anywhere, U+3000 included
	WarnInvisible                               // zero-width space, byte order mark …
	WarnPunctuation                             // brackets, quotes, a mark at an end
	WarnDash                                    // another sign than one hyphen, or none after a class
	WarnWording                                 // 备案 for 备, 第, a label in front …
	WarnMissingHao                              // no 号
	WarnMisplacedHao                            // 号 after the ordinal, twice, or in a value-added licence
	WarnLeadingZero                             // 号-01
	WarnDigits                                  // a number of digits that only old data have, or none should have
	WarnRegion                                  // PSB numbers: letter and region code name two provinces
)

var numberWarningWords = words{
	"province-alias", "traditional", "full-width", "lower-case", "spaces", "invisible", "punctuation", "dash",
	"wording", "missing-hao", "misplaced-hao", "leading-zero", "digit-count", "region-mismatch",
}

// Words returns the word of each warning, nil for none.
func (w NumberWarnings) Words() (s []string) {
	for i, word := range numberWarningWords {
		if w&(1<<i) != 0 {
			s = append(s, word)
		}
	}
	return s
}

// String returns the words, for example "spaces, missing-hao"; empty for none.
func (w NumberWarnings) String() string { return strings.Join(w.Words(), ", ") }
