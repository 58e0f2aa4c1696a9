package authz

// Reader is what is known of who would read a page. The zero value is a browser
// that says nothing of itself.
type Reader struct {
	Accept, Language string // the headers Accept and Accept-Language
	Head             bool   // it asks for the head alone
}

// Page is what a refused client is to be shown.
type Page struct {
	Status int
	// Fields are the header fields in their order, Location among them where the
	// client is sent elsewhere.
	Fields [][2]string
	Body   []byte
}

// Field returns the value of a header field, whose name is as HTTP/1 writes it;
// "" for none.
func (p *Page) Field(name string) string {
	for _, f := range p.Fields {
		if f[0] == name {
			return f[1]
		}
	}
	return ""
}

// Pages makes the pages for refusals. It is used concurrently.
type Pages interface {
	Page(q *Question, a Answer, r Reader) Page
}
