package store

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of texts in bytes. They are far above what people write, and what a list or
// a line of the journal can still show.
const (
	maxLine  = 256  // of what names something: ids, persons, owners, accounts
	maxProse = 4000 // of reasons and notes
)

// oneName takes a text that names something: one line of visible characters. What it
// names must be told apart by looking at it. what says what the text is.
func oneName(what, s string) (string, error) {
	s = strings.TrimSpace(s)
	if err := fits(what, s, maxLine); err != nil {
		return "", err
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return "", fmt.Errorf("%w %s: it holds %U, which nobody sees; expect one line of plain text", ErrInvalid, what, r)
		}
	}
	return s, nil
}

// prose takes a text for people to read, of several lines perhaps.
func prose(what, s string) (string, error) {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\r\n", "\n")
	if err := fits(what, s, maxProse); err != nil {
		return "", err
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || turns(r) {
			return "", fmt.Errorf("%w %s: it holds the control character %U; expect plain text", ErrInvalid, what, r)
		}
	}
	return s, nil
}

// turns reports whether a character has what follows it shown in another order than it
// stands (explicit directional formatting, Unicode UAX #9 §2). A reason in the journal
// could read otherwise than it is; scripts that run from right to left do not need it.
func turns(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

func fits(what, s string, most int) error {
	switch {
	case len(s) > most:
		return fmt.Errorf("%w %s: it has %d bytes; expect %d at most", ErrInvalid, what, len(s), most)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w %s: it is no UTF-8", ErrInvalid, what)
	}
	return nil
}

// mended makes a name fit that is known already, as that of who asks by a certificate.
func mended(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd")))
	for len(s) > maxLine {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}
