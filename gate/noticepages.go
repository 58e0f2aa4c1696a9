package gate

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"os"
	"strings"
	"sync"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
)

//go:embed templates/notice.html
var builtinNoticeText string

var builtinNotice = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("notice.html").Parse(builtinNoticeText)).Lookup("page")
})

// builtinPage executes the built-in page. It cannot fail: the writer does not, and
// a test shows every notice with it.
func builtinPage(w *noticeView) string {
	var b strings.Builder
	_ = builtinNotice().Execute(&b, w)
	return b.String()
}

// noticePages are the operator's pages. The zero value has none.
type noticePages struct {
	file string
	all  *template.Template // nil for none
}

// noticeKinds are the pages that a notice can be.
var noticeKinds = []registry.Page{registry.PageUnfiled, registry.PageNotAccessed, registry.PageOther, registry.PageUndecided}

// readNoticePages reads the operator's template file.
func readNoticePages(file string) (noticePages, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return noticePages{}, fmt.Errorf("notice: template: %w", err)
	}
	all, err := template.New(file).Parse(string(text))
	if err != nil {
		return noticePages{}, fmt.Errorf("notice: %w", err)
	}
	p := noticePages{file: file, all: all}
	return p, p.checkNames()
}

// checkNames refuses a file of which nothing would be used, and names that look
// like a page's but are none.
func (p noticePages) checkNames() error {
	known := map[string]bool{}
	for _, l := range []explain.Lang{explain.English, explain.Chinese} {
		for _, kind := range noticeKinds {
			for _, name := range noticeNames(kind, l) {
				known[name] = true
			}
		}
	}
	used := false
	for _, t := range p.all.Templates() {
		used = used || known[t.Name()]
		if ext := t.Name()[strings.LastIndexByte(t.Name(), '.')+1:]; (ext == "zh" || ext == "en") && !known[t.Name()] {
			return fmt.Errorf("notice: template %s defines %q; expect one of %s", p.file, t.Name(), noticeNameList)
		}
	}
	if !used {
		return fmt.Errorf("notice: template %s defines no page; expect {{define NAME}} with one of %s", p.file, noticeNameList)
	}
	return nil
}

const noticeNameList = "unfiled, not-accessed, other, undecided or page, alone or with .zh or .en behind it"

// noticeNames are the names under which a page is looked for, in order.
func noticeNames(kind registry.Page, l explain.Lang) []string {
	k, lang := kind.String(), "."+l.String()
	return []string{k + lang, k, "page" + lang, "page"}
}

// page finds the operator's page; nil where the built-in one is used.
func (p noticePages) page(kind registry.Page, l explain.Lang) *template.Template {
	if p.all == nil {
		return nil
	}
	for _, name := range noticeNames(kind, l) {
		if t := p.all.Lookup(name); t != nil {
			return t
		}
	}
	return nil
}

// Content-Security-Policy of the answers. Nothing is loaded, sent or framed; the
// built-in page has its one style, an operator's page may have its own and images
// in itself.
const (
	cspNothing  = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	cspOperator = cspNothing + "; style-src 'unsafe-inline'; img-src data:"
)

// cspBuiltin allows the style of the built-in page by its hash, as written: the
// template leaves comments of a style out.
var cspBuiltin = sync.OnceValue(func() string {
	_, after, _ := strings.Cut(builtinPage(new(Notices).view(noticeSubject{}, &placeMarks)), "<style>")
	style, _, _ := strings.Cut(after, "</style>")
	hash := sha256.Sum256([]byte(style))
	return cspNothing + "; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
})
