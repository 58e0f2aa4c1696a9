package gate_test

import (
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate"
)

const (
	acceptChromium = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
	acceptAxios    = "application/json, text/plain, */*"
)

func TestNegotiateFormat(t *testing.T) {
	for _, tt := range []struct{ accept, want string }{
		{"", "html"},
		{" ", "html"},
		{acceptChromium, "html"},
		{"*/*", "text"},
		{acceptAxios, "json"},
		{"text/plain", "text"},
		{"text/*", "html"},
		{"application/*", "json"},
		{"text/*, application/*", "html"},
		{"application/*, text/*", "json"},
		{"APPLICATION/JSON", "json"},
		{"image/png", "text"},
		{"text/html;q=0.5, application/json;q=0.6", "json"},
		{"text/html;q=0.6, application/json;q=0.6", "html"},
		{"application/json;q=0.6, text/html;q=0.6", "json"},
		{"text/html;q=0, */*", "text"},
		{"text/plain;q=0, */*", "html"},
		{"text/html;q=0, application/json;q=0, text/plain;q=0", "text"},
		{"text/html; charset=utf-8 ; q=0.3, text/plain;q=.2", "html"},
		{"text/html;level=1", "html"},
		{`text/html;x="a,b;q=0";q=0.9, text/plain;q=0.5`, "html"},
		{`text/html;x="\",application/json`, "html"},
		{"text/html;q=2, text/plain;q=0.1", "text"},
		{"text/html;q=0.1234, application/json;q=0.1", "json"},
		{"text/html;q=x, application/json;q=0.1", "json"},
		{"text/html;q=-1, application/json;q=0.1", "json"},
		{"*/*;q=0.1, application/json;q=0.1", "json"},
		{strings.Repeat("a/b,", 400) + "application/json", "text"},
		{strings.Repeat("a/b,", 40) + "application/json", "text"},
		{";;;,,,", "text"},
	} {
		if got, _ := gate.NegotiateNotice(tt.accept, ""); got != tt.want {
			t.Errorf("Accept %.80q: %s; want %s", tt.accept, got, tt.want)
		}
	}
}

func TestNegotiateLanguage(t *testing.T) {
	for _, tt := range []struct{ header, want string }{
		{"", "zh"},
		{"*", "zh"},
		{"zh-CN,zh;q=0.9,en;q=0.8", "zh"},
		{"zh-TW", "zh"},
		{"en-US,en;q=0.9", "en"},
		{"EN", "en"},
		{"en, zh", "en"},
		{"zh, en", "zh"},
		{"en;q=0.5, zh;q=0.6", "zh"},
		{"en;q=0.6, zh;q=0.5", "en"},
		{"en;q=0.5, *", "zh"},
		{"en, *;q=0.1", "en"},
		{"zh;q=0.3, *;q=0.9", "en"},
		{"de", "en"},
		{"de, *;q=0.5", "en"},
		{"de;q=0", "zh"},
		{"de, zh;q=0.1", "zh"},
		{"de, en;q=0", "zh"},
		{"zh;q=0", "en"},
		{"en;q=0", "zh"},
		{"zh;q=0, en;q=0", "zh"},
		{"enx", "en"}, // another language
		{"zhx, zh;q=0.5", "zh"},
		{strings.Repeat("de,", 40) + "zh", "en"}, // beyond what is read
	} {
		if _, got := gate.NegotiateNotice("", tt.header); got != tt.want {
			t.Errorf("Accept-Language %.80q: %s; want %s", tt.header, got, tt.want)
		}
	}
}

// FuzzNegotiate: hostile headers choose something, and nothing else than what
// their readable part chooses.
func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{acceptChromium, acceptAxios, `a;b="\`, "zh;q=0.5,*", strings.Repeat(`",;`, 500)} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, accept, language string) {
		format, lang := gate.NegotiateNotice(accept, language)
		if format == "" || lang == "" {
			t.Fatalf("%q, %q: nothing chosen", accept, language)
		}
		if strings.ContainsAny(accept+language, `"\`) || strings.TrimSpace(accept) == "" || len(accept)+len(language) > 200 {
			return
		}
		// What nobody can read says nothing.
		if f2, l2 := gate.NegotiateNotice(" ,;q=1,"+accept, " ,;q=1,"+language); strings.Count(accept+language, ",") < 25 && (f2 != format || l2 != lang) {
			t.Errorf("%q, %q: %s, %s; with empty elements before it %s, %s", accept, language, format, lang, f2, l2)
		}
		if f2, l2 := gate.NegotiateNotice(strings.ToUpper(accept), strings.ToUpper(language)); isASCII(accept+language) && (f2 != format || l2 != lang) {
			t.Errorf("%q, %q: %s, %s; in upper case %s, %s", accept, language, format, lang, f2, l2)
		}
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
