package explain

import (
	"fmt"
	"strings"
)

// Lang is a language that the texts exist in. The zero value is English.
type Lang uint8

// The languages.
const (
	English Lang = iota
	Chinese
	langCount
)

var langWords = [langCount]string{"en", "zh"}

// ParseLang reads "en" or "zh", or a locale that begins so ("zh-CN", "en_GB").
func ParseLang(s string) (Lang, error) {
	tag, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(s, "_", "-")), "-")
	for l, word := range langWords {
		if tag == word {
			return Lang(l), nil
		}
	}
	return English, fmt.Errorf("unknown language %q; expect en or zh", s)
}

// FromLocale returns the language of a POSIX locale such as "zh_CN.UTF-8":
// Chinese for a Chinese one, English for all others.
func FromLocale(locale string) Lang {
	tag, _, _ := strings.Cut(locale, ".")
	l, err := ParseLang(tag)
	if err != nil {
		return English
	}
	return l
}

// String returns "en" or "zh".
func (l Lang) String() string { return langWords[l%langCount] }

// MarshalText writes the word of l.
func (l Lang) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what ParseLang reads.
func (l *Lang) UnmarshalText(b []byte) (err error) {
	*l, err = ParseLang(string(b))
	return err
}
