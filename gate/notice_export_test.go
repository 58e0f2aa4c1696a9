package gate

// NegotiateNotice returns the format and the language that two headers choose.
func NegotiateNotice(accept, language string) (format, lang string) {
	return [noticeFormats]string{"html", "json", "text"}[negotiateFormat(accept)], negotiateLang(language).String()
}

// SlowNotice executes the built-in page for n without anything made beforehand.
func (s *Notices) SlowNotice(n Notice) string {
	lang := negotiateLang(n.Language)
	v := n.values(allPlaces, lang, noticeHTML)
	return builtinPage(s.view(noticeSubject{lang, n.Verdict.Reason, n.Verdict.Advisories}, &v))
}
