package registry

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseNumber reads a number as registers, pages and people write it, and says
// what it had to mend. Spaces are taken anywhere but inside the digits, where
// a gap may hide an ordinal: a number is a key, and reading one as another is
// worse than refusing it.
func ParseNumber(s string) (Number, NumberWarnings, error) {
	if n, ok := plainNumber(s); ok {
		return n, 0, nil
	}
	var n Number
	t, err := foldNumber(s)
	if err == nil {
		n, err = t.number()
	}
	if err != nil {
		return Number{}, 0, fmt.Errorf("number %q: %w", cutNumber(s), err)
	}
	return n, t.warn, nil
}

// MustParseNumber is ParseNumber for tests and tables; it panics on an error
// and drops the warnings.
func MustParseNumber(s string) Number {
	n, _, err := ParseNumber(s)
	if err != nil {
		panic(err)
	}
	return n
}

// maxNumberText is far above what a number with labels, spaces and invisible
// characters takes; a longer text is something else and not looked at.
const maxNumberText = 256

// maxQuoted is how many bytes of a refused text an error shows.
const maxQuoted = 60

func cutNumber(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	i := maxQuoted
	for i > 0 && !utf8.RuneStart(s[i]) {
		i--
	}
	return s[:i] + "…"
}

// numberText is a text on its way to a number: what is left to read, and what
// was mended so far.
type numberText struct {
	rest string
	warn NumberWarnings
}

const (
	numberDashes   = "‐‑‒–—―−－﹘﹣─━ー_"
	numberBrackets = "()[]{}<>《》〈〉【】〔〕「」『』'\"‘’“”`"
	numberEnds     = " ,;.:!|*·•、。"
)

var traditional = map[rune]rune{
	'備': '备', '號': '号', '證': '证', '網': '网', '滬': '沪', '蘇': '苏', '遼': '辽', '魯': '鲁', '贛': '赣', '閩': '闽',
	'粵': '粤', '瓊': '琼', '貴': '贵', '雲': '云', '隴': '陇', '陝': '陕', '寧': '宁', '晉': '晋', '許': '许', '營': '营',
}

// foldNumber brings s to one alphabet: simplified characters, ASCII capitals,
// digits, hyphens, single blanks, nothing invisible, no marks at the ends.
func foldNumber(s string) (t numberText, err error) {
	if len(s) > maxNumberText {
		return t, fmt.Errorf("has %d bytes; a number has at most %d with all that surrounds it", len(s), maxNumberText)
	}
	if !utf8.ValidString(s) {
		return t, errors.New("is not valid UTF-8; convert the text from GBK first if it comes from there")
	}
	b := make([]rune, 0, len(s))
	for _, r := range s {
		r, warn := foldNumberRune(r)
		t.warn |= warn
		if r != 0 {
			b = append(b, r)
		}
	}
	blankless := strings.Trim(string(b), " ")
	t.rest = strings.Trim(blankless, numberEnds)
	if t.rest != blankless {
		t.warn |= WarnPunctuation
	}
	if t.rest == "" {
		return t, errors.New("is empty; expect one such as 京ICP备12345678号-1")
	}
	return t, nil
}

// foldNumberRune folds one character; 0 drops it.
func foldNumberRune(r rune) (rune, NumberWarnings) {
	var warn NumberWarnings
	if '！' <= r && r <= '～' {
		r, warn = r-'！'+'!', WarnFullWidth
	}
	switch {
	case '0' <= r && r <= '9', 'A' <= r && r <= 'Z', r == '-':
		return r, warn
	case 'a' <= r && r <= 'z':
		return r - 'a' + 'A', warn | WarnLowerCase
	case unicode.IsSpace(r):
		return ' ', warn | WarnSpaces
	case r == 0:
		return unicode.ReplacementChar, warn // 0 would drop it
	case unicode.Is(unicode.Cf, r):
		return 0, warn | WarnInvisible
	case strings.ContainsRune(numberDashes, r):
		return '-', warn | WarnDash
	case strings.ContainsRune(numberBrackets, r):
		return ' ', warn | WarnPunctuation
	}
	if simple, ok := traditional[r]; ok {
		return simple, warn | WarnTraditional
	}
	return r, warn
}

// eat takes word from the front of what is left, blanks before and within it
// included, and reports whether it was there.
func (t *numberText) eat(word string) bool {
	rest := t.rest
	for _, r := range word {
		var ok bool
		if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " "), string(r)); !ok {
			return false
		}
	}
	t.rest = rest
	return true
}

// skip takes each of the words that is there, in this order, as superfluous.
func (t *numberText) skip(wordsInOrder ...string) {
	for _, word := range wordsInOrder {
		if t.eat(word) {
			t.warn |= WarnWording
		}
	}
}

var numberLabels = []string{"备案号", "ICP备案号", "网站备案号", "主体备案号", "备案许可证号", "ICP证", "许可证号", "增值电信业务经营许可证", "经营许可证编号"}

// skipLabel takes one of the labels, if a colon follows it.
func (t *numberText) skipLabel(labels []string) {
	all := t.rest
	for _, label := range labels {
		if t.eat(label) && t.eat(":") {
			t.warn |= WarnWording
			return
		}
		t.rest = all
	}
}

// number reads the whole text.
func (t *numberText) number() (n Number, err error) {
	t.skipLabel(numberLabels)
	if n.province, err = t.provinceLetter(); err != nil {
		return Number{}, err
	}
	switch {
	case t.eat("ICP备"):
		t.skip("案", "号", ":", "第")
		n.kind = NumberFiling
	case t.eat("ICP证"):
		t.skip("号", ":", "第")
		n.kind = NumberLicence
	}
	if n.kind != NumberFiling {
		if n.classes = t.classList(); n.classes != 0 && n.kind == NumberLicence {
			t.warn |= WarnWording // 京ICP证B2-20171701号
		}
	}
	switch {
	case n.classes != 0:
		n.kind = NumberValueAdded
	case n.kind == NumberNone:
		return Number{}, t.noKind()
	case n.province == 0:
		return Number{}, fmt.Errorf("has no province before ICP; expect one of %s", provinceLetters())
	}
	if err := t.numberDigits(&n); err != nil {
		return Number{}, err
	}
	if err := t.tail(&n); err != nil {
		return Number{}, err
	}
	return n, nil
}

// noKind says what stands where a kind of number should.
func (t *numberText) noKind() error {
	if t.eat("公") {
		return errors.New("is a PSB number (公网安备), not a filing number; expect one such as 京ICP备12345678号-1")
	}
	return fmt.Errorf("has %q where ICP备, ICP证 or a licence class such as B2- should be", cutNumber(t.rest))
}

// provinceLetter takes the letter in front; 0 if the number starts without one.
func (t *numberText) provinceLetter() (uint8, error) {
	if t.eat("合字") { // the ministry's own licences, for several provinces
		t.warn |= WarnProvince
		return 0, nil
	}
	rest := strings.TrimLeft(t.rest, " ")
	r, size := utf8.DecodeRuneInString(rest)
	if 'A' <= r && r <= 'Z' {
		return 0, nil
	}
	i, alias := provinceIndex(rest[:size])
	if i == 0 {
		return 0, fmt.Errorf("has %q where its province should be; expect one of %s", rest[:size], provinceLetters())
	}
	if alias {
		t.warn |= WarnProvince
	}
	t.rest = rest[size:]
	return i, nil
}

// classList takes classes such as "A2.B1.B2"; 0 if there are none.
func (t *numberText) classList() (classes uint8) {
	for class := t.class(); class != 0; class = t.nextClass() {
		t.warn |= warnIf(class <= classes, WarnWording) // again, or out of order
		classes |= class
	}
	return classes
}

// nextClass takes a separator and a class after it; neither if either lacks.
func (t *numberText) nextClass() uint8 {
	all, warn := t.rest, t.warn
	if !t.eat(".") {
		t.warn |= warnIf(t.eat("、") || t.eat("/") || t.eat(","), WarnPunctuation)
	}
	class := uint8(0)
	if t.rest != all {
		class = t.class()
	}
	if class == 0 {
		t.rest, t.warn = all, warn
	}
	return class
}

// class takes one class and returns its bit.
func (t *numberText) class() uint8 {
	for i, word := range classWords {
		if t.eat(word) {
			return 1 << i
		}
	}
	return 0
}

func warnIf(yes bool, w NumberWarnings) NumberWarnings {
	if yes {
		return w
	}
	return 0
}

// digitCounts tells how many digits a number of a kind has, by the samples in
// rule book 5.1: filings have 8, since about 2019 10, old ones 5 to 7, and 9 are
// seen; licences 6, value-added ones 8.
func digitCounts(k NumberKind) (least, most, usual int) {
	switch k {
	case NumberLicence:
		return 5, 8, 6
	case NumberValueAdded:
		return 8, 8, 8
	}
	return 5, 10, 8
}

// numberDigits takes the digits.
func (t *numberText) numberDigits(n *Number) error {
	least, most, usual := digitCounts(n.kind)
	if n.kind == NumberValueAdded {
		t.warn |= warnIf(!t.dash(), WarnDash)
	}
	digits, err := t.digits(least, most)
	if err != nil {
		return err
	}
	t.warn |= warnIf(len(digits) != usual && len(digits) != 10, WarnDigits)
	n.digits = packDigits(digits)
	return nil
}

// digits takes a run of digits without gaps.
func (t *numberText) digits(least, most int) (string, error) {
	t.rest = strings.TrimLeft(t.rest, " ")
	n := 0
	for n < len(t.rest) && isDigit(t.rest[n]) {
		n++
	}
	if n < least || n > most {
		return "", fmt.Errorf("has %d digits in a row where its digits should be; expect %s, without gaps", n, span(least, most))
	}
	digits := t.rest[:n]
	t.rest = t.rest[n:]
	return digits, nil
}

// span writes a range for people.
func span(least, most int) string {
	if least == most {
		return strconv.Itoa(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// packDigits puts a 1 in front of the digits; callers allow 14 at most.
func packDigits(digits string) uint64 {
	d := uint64(1)
	for _, c := range []byte(digits) {
		d = d*10 + uint64(c-'0')
	}
	return d
}

// dash takes one dash, or several of them with a warning.
func (t *numberText) dash() bool {
	if !t.eat("-") {
		return false
	}
	for t.eat("-") {
		t.warn |= WarnDash
	}
	return true
}

// tail takes what follows the digits: 号, ordinal and letter.
func (t *numberText) tail(n *Number) error {
	hao, misplaced := t.eat("号"), false
	if t.dash() {
		if err := t.ordinal(n); err != nil {
			return err
		}
		misplaced = t.eat("号")
	}
	if n.kind == NumberValueAdded {
		misplaced = misplaced || hao
	} else {
		t.warn |= warnIf(!hao && !misplaced, WarnMissingHao)
	}
	t.warn |= warnIf(misplaced, WarnMisplacedHao)
	return t.end()
}

// ordinal takes the ordinal and the letter of its service.
func (t *numberText) ordinal(n *Number) error {
	digits, err := t.digits(1, 5)
	if err != nil {
		return fmt.Errorf("has no ordinal from 1 to %d after the dash", maxOrdinal)
	}
	t.warn |= warnIf(digits[0] == '0', WarnLeadingZero)
	i, _ := strconv.Atoi(digits)
	if i == 0 {
		return errors.New("has the ordinal 0; the first site is -1")
	}
	n.ordinal = uint32(i)
	for k, letter := range serviceLetters {
		if letter != "" && t.eat(letter) {
			n.service = Kind(k)
			return nil
		}
	}
	return nil
}

// end reports an error if anything is left.
func (t *numberText) end() error {
	if rest := strings.TrimLeft(t.rest, " "); rest != "" {
		return fmt.Errorf("has %q after its end; expect nothing or an ordinal such as -1, -1A (app), -1X (mini program) or -1K (quick app)", cutNumber(rest))
	}
	return nil
}
