package registry

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// PSBNumber is the number of a PSB filing (公安备案号, 公安联网备案), such as
// 京公网安备11010802020134号. Its digits alone tell numbers apart, and the first
// six of them the place. PSBNumbers are comparable and safe for concurrent use.
// The zero PSBNumber is no number. (Rule book 5.1.)
type PSBNumber struct {
	digits uint64 // with a 1 in front, as in Number
}

// psbLetters are the provinces that public security writes in another way than
// the telecom authority, by samples of both.
var psbLetters = map[string]string{"蜀": "川", "黔": "贵", "陇": "甘"}

// corpsCode begins region codes of the Xinjiang Production and Construction
// Corps, which GB/T 2260 does not list; our reading.
const corpsCode = "66"

// ParsePSBNumber reads a PSB number as pages and people write it, and says what
// it had to mend. It takes 14 digits, and the 12 or 13 of old data with
// WarnDigits.
func ParsePSBNumber(s string) (PSBNumber, NumberWarnings, error) {
	var n PSBNumber
	t, err := foldNumber(s)
	if err == nil {
		n, err = t.psb()
	}
	if err != nil {
		return PSBNumber{}, 0, fmt.Errorf("PSB number %q: %w", cutNumber(s), err)
	}
	return n, t.warn, nil
}

// MustParsePSBNumber is ParsePSBNumber for tests and tables; it panics on an
// error and drops the warnings.
func MustParsePSBNumber(s string) PSBNumber {
	n, _, err := ParsePSBNumber(s)
	if err != nil {
		panic(err)
	}
	return n
}

var psbLabels = []string{"备案号", "公安备案号", "公安联网备案号", "公网安备号", "网安备案号"}

// psb reads the whole text.
func (t *numberText) psb() (PSBNumber, error) {
	t.skipLabel(psbLabels)
	letter, err := t.psbLetter()
	if err != nil {
		return PSBNumber{}, err
	}
	if !t.eat("公网安备") {
		if !t.eat("公安网备") {
			return PSBNumber{}, fmt.Errorf("has %q where 公网安备 should be; expect one such as 京公网安备11010802020134号", cutNumber(t.rest))
		}
		t.warn |= WarnWording
	}
	t.skip("案", "号", ":", "第")
	digits, err := t.digits(12, 14)
	if err != nil {
		return PSBNumber{}, err
	}
	n := PSBNumber{packDigits(digits)}
	t.warn |= warnIf(len(digits) != 14, WarnDigits) | warnIf(!t.eat("号"), WarnMissingHao)
	if rest := strings.TrimLeft(t.rest, " "); rest != "" {
		return PSBNumber{}, fmt.Errorf("has %q after its end", cutNumber(rest))
	}
	i := n.province()
	if i == 0 {
		return PSBNumber{}, fmt.Errorf("starts with %s, which is no province's region code; expect one such as 11 for 京", digits[:2])
	}
	t.checkLetter(letter, i)
	return n, nil
}

// psbLetter takes the province's letter or alias; empty if 公网安备 comes first.
func (t *numberText) psbLetter() (string, error) {
	rest := strings.TrimLeft(t.rest, " ")
	_, size := utf8.DecodeRuneInString(rest)
	letter := rest[:size]
	if letter == "公" {
		return "", nil
	}
	if i, _ := provinceIndex(letter); i == 0 {
		return "", fmt.Errorf("has %q where its province should be; expect one of %s", letter, provinceLetters())
	}
	t.rest = rest[size:]
	return letter, nil
}

// checkLetter warns if the letter is not the one that String writes for the
// province of the region code.
func (t *numberText) checkLetter(letter string, province uint8) {
	if letter == psbLetterOf(province) {
		return
	}
	t.warn |= WarnProvince
	i, _ := provinceIndex(letter)
	t.warn |= warnIf(letter != "" && i != province, WarnRegion)
}

func psbLetterOf(province uint8) string {
	letter := provinces[province].letter
	if other, ok := psbLetters[letter]; ok {
		return other
	}
	return letter
}

// province finds the province of the region code; 0 if there is none.
func (n PSBNumber) province() uint8 {
	code := n.Digits()
	if code == "" {
		return 0
	}
	if code = code[:2]; code == corpsCode {
		code = "65"
	}
	for i, p := range provinces {
		if p.code == code {
			return uint8(i)
		}
	}
	return 0
}

// IsZero reports whether n is no number.
func (n PSBNumber) IsZero() bool { return n == PSBNumber{} }

// Digits returns the digits, leading zeros included; empty for the zero value.
func (n PSBNumber) Digits() string {
	if n.IsZero() {
		return ""
	}
	return string(appendDigits(nil, n.digits))
}

// Region returns the code of the county or district, six digits as in GB/T 2260;
// empty for the zero value.
func (n PSBNumber) Region() string {
	if n.IsZero() {
		return ""
	}
	return n.Digits()[:6]
}

// Province returns the letter of the region code's province, the one that
// Number.Province returns: 蜀 where the number itself says 川.
func (n PSBNumber) Province() string { return provinces[n.province()].letter }

// Link returns where the public query shows n, the target that a page's footer
// must link to; empty for the zero value.
func (n PSBNumber) Link() string {
	if n.IsZero() {
		return ""
	}
	return "https://beian.mps.gov.cn/#/query/webSearch?code=" + n.Digits()
}

// String returns the canonical form, for example "京公网安备11010802020134号";
// empty for the zero value.
func (n PSBNumber) String() string {
	b, _ := n.AppendText(nil) // never fails
	return string(b)
}

// MarshalText writes the canonical form.
func (n PSBNumber) MarshalText() ([]byte, error) { return n.AppendText(nil) }

// AppendText appends the canonical form to b.
func (n PSBNumber) AppendText(b []byte) ([]byte, error) {
	if n.IsZero() {
		return b, nil
	}
	b = append(append(b, psbLetterOf(n.province())...), "公网安备"...)
	return append(appendDigits(b, n.digits), "号"...), nil
}

// UnmarshalText reads what ParsePSBNumber reads; an empty text is the zero
// PSBNumber.
func (n *PSBNumber) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*n = PSBNumber{}
		return nil
	}
	*n, _, err = ParsePSBNumber(string(b))
	return err
}
