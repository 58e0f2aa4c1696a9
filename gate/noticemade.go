package gate

import (
	"encoding/json"
	"html/template"
	"strings"
	"unicode/utf8"
)

// madeNotice is a body made beforehand: text, with places between. Immutable.
type madeNotice struct {
	pieces []noticePiece
	fixed  int // bytes of all texts
	want   placeSet
	escape func(string) string
}

// noticePiece is a text and what comes after it; noticePlaces is nothing.
type noticePiece struct {
	text string
	then noticePlace
}

// placeSet is a set of places.
type placeSet uint8

const allPlaces placeSet = 1<<noticePlaces - 1

func (s placeSet) has(p noticePlace) bool { return s&(1<<p) != 0 }

// newMadeNotice cuts a body at its marks.
func newMadeNotice(body string, f noticeFormat) madeNotice {
	m := madeNotice{escape: noticeEscapes[f]}
	for body != "" {
		i := strings.IndexFunc(body, isPlaceMark)
		if i < 0 {
			m.pieces = append(m.pieces, noticePiece{body, noticePlaces})
			m.fixed += len(body)
			break
		}
		r, size := utf8.DecodeRuneInString(body[i:])
		place := noticePlace(r - firstPlace)
		m.pieces = append(m.pieces, noticePiece{body[:i], place})
		m.fixed += i
		m.want |= 1 << place
		body = body[i+size:]
	}
	return m
}

func isPlaceMark(r rune) bool { return r >= firstPlace && r < firstPlace+rune(noticePlaces) }

// escaped makes the values safe for the body.
func (m *madeNotice) escaped(v *noticeValues) {
	for i := range v {
		v[i] = m.escape(v[i])
	}
}

// len is how long the body is with escaped values.
func (m *madeNotice) len(v *noticeValues) int {
	n := m.fixed
	for _, p := range m.pieces {
		if p.then < noticePlaces {
			n += len(v[p.then])
		}
	}
	return n
}

// appendTo appends the body with escaped values.
func (m *madeNotice) appendTo(b []byte, v *noticeValues) []byte {
	for _, p := range m.pieces {
		b = append(b, p.text...)
		if p.then < noticePlaces {
			b = append(b, v[p.then]...)
		}
	}
	return b
}

// noticeEscapes make a value safe for a format. The built-in page has values in
// texts and in quoted attributes that are no URLs, for which one escaping does.
var noticeEscapes = [noticeFormats]func(string) string{
	noticeHTML: template.HTMLEscapeString,
	noticeJSON: escapeJSON,
	noticeText: func(s string) string { return s },
}

// escapeJSON makes a string safe within the quotes of JSON.
func escapeJSON(s string) string {
	if isVisible(s) && !strings.ContainsAny(s, `"\<>&`) {
		return s
	}
	b, _ := json.Marshal(s) // every string has a form in JSON
	return string(b[1 : len(b)-1])
}
