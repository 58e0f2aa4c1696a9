package explain

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// labels are the words around the facts when they are printed for people.
type labels struct {
	lang Lang

	asked, why, reference, policy, effect, page, filing, advisory, assumed, revision string // before a line
	next, owner, staff                                                               string

	place, provider, addressOf, product, acceleration, origin, originPull string // in the line of what was asked

	accesses, none, unknown, restricted, otherUnit, decides, noRegistry, stale, unanswered, noHost string // in the line of a filing
}

var labelsOf = [langCount]labels{
	{
		lang:  English,
		asked: "asked", why: "why", reference: "reference", policy: "policy", effect: "effect", page: "page",
		filing: "filing", advisory: "advisory", assumed: "assumed", revision: "revision",
		next: "What to do next", owner: "site owner", staff: "staff",
		place: "place", provider: "provider", addressOf: "address of", product: "product",
		acceleration: "acceleration", origin: "origin", originPull: "origin pull",
		accesses: "accesses", none: "none", unknown: "unknown", restricted: "restricted", otherUnit: "another unit's",
		decides: "decides", noRegistry: "no registry loaded", stale: "the registry is too old to decide", unanswered: "the registry service did not answer", noHost: "(no host)",
	},
	{
		lang:  Chinese,
		asked: "查询", why: "理由", reference: "依据", policy: "策略", effect: "执行", page: "提示页",
		filing: "备案", advisory: "提示", assumed: "假定", revision: "版本",
		next: "下一步", owner: "网站主办者", staff: "工作人员",
		place: "位置", provider: "接入商", addressOf: "地址属于", product: "产品",
		acceleration: "加速区域", origin: "源站", originPull: "回源请求",
		accesses: "接入", none: "无", unknown: "未知", restricted: "限制接入", otherUnit: "属其他单位",
		decides: "据此判定", noRegistry: "未加载备案数据", stale: "备案数据已过期，不据此判定", unanswered: "备案数据服务未应答", noHost: "（无域名）",
	},
}

// labelWidth is the width of the label column in English letters; a Chinese
// letter takes two.
const labelWidth = 12

// WriteText prints e for people, in its language.
func (e Explanation) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	t := labelsOf[e.Lang%langCount]
	fmt.Fprintf(b, "%s  %s  %s: %s\n\n", e.hostText(t), t.lang.term("", e.Verdict), e.Reason, e.Title)
	line(b, t.asked, e.Query.text(t))
	line(b, t.why, e.Rule)
	line(b, t.reference, e.Reference)
	if e.Policy != nil {
		line(b, t.policy, e.Policy.text())
	}
	if e.Effect.Word != e.Verdict {
		line(b, t.effect, e.Effect.text())
	}
	if e.Page != nil {
		line(b, t.page, e.Page.text())
	}
	e.writeFilings(b, t)
	for _, a := range e.Advisories {
		line(b, t.advisory, fmt.Sprintf("%s: %s %s", a.Advisory, a.Rule, brackets(a.Reference)))
	}
	for _, a := range e.Assumed {
		line(b, t.assumed, a.Text)
	}
	if e.Loaded {
		line(b, t.revision, e.Revision.String())
	}
	e.writeNext(b, t)
	return b.Flush()
}

func (e Explanation) hostText(t labels) string {
	switch {
	case e.Host == "":
		return t.noHost
	case e.Unicode != "":
		return e.Host + " (" + e.Unicode + ")"
	}
	return e.Host
}

func (e Explanation) writeFilings(b *bufio.Writer, t labels) {
	switch {
	case !e.Loaded:
		line(b, t.filing, e.lackText(t))
	case len(e.Filings) == 0:
		line(b, t.filing, t.none)
	}
	for _, f := range e.Filings {
		line(b, t.filing, f.text(t))
	}
}

func (e Explanation) lackText(t labels) string {
	switch e.Lack {
	case registry.LackFreshness:
		return t.stale
	case registry.LackAnswer:
		return t.unanswered
	}
	return t.noRegistry
}

func (e Explanation) writeNext(b *bufio.Writer, t labels) {
	if len(e.Next.Owner)+len(e.Next.Staff) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", t.next)
	for _, s := range e.Next.Owner {
		line(b, t.owner, s)
	}
	for _, s := range e.Next.Staff {
		line(b, t.staff, s)
	}
}

// line prints a label and a text in columns.
func line(b *bufio.Writer, label, text string) {
	width := 0
	for _, r := range label {
		if width++; r >= 0x2e80 {
			width++
		}
	}
	fmt.Fprintf(b, "  %s%s %s\n", label, strings.Repeat(" ", max(0, labelWidth-width)), text)
}

func brackets(s string) string { return "[" + s + "]" }

func (w Words) text() string { return w.Word + ": " + w.Text }

// text names what was asked, unknown parts left out.
func (q QueryFacts) text(t labels) string {
	parts := []string{q.Channel, t.place + " " + t.lang.term("", q.Place.String())}
	if q.Provider != "" {
		parts = append(parts, t.provider+" "+string(q.Provider))
	}
	if q.AddressProvider != "" {
		parts = append(parts, t.addressOf+" "+string(q.AddressProvider))
	}
	parts = append(parts, t.product+" "+t.lang.term("", q.Product.String()))
	if q.Acceleration != registry.AccelerationUnknown {
		parts = append(parts, t.acceleration+" "+t.lang.term("", q.Acceleration.String()))
	}
	if q.Origin != registry.OriginUnknown {
		parts = append(parts, t.origin+" "+t.lang.term("", q.Origin.String()))
	}
	if q.OriginPull {
		parts = append(parts, t.originPull)
	}
	return strings.Join(parts, ", ")
}

// text is a filing in one line: filed name, number, entity, kind and status,
// accesses.
func (f FilingFacts) text(t labels) string {
	parts := []string{f.Filed}
	for _, s := range []string{f.Number, f.Entity, f.SiteName} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	parts = append(parts, t.lang.term("", f.Kind.String())+" "+t.lang.term("", f.Status.String()))
	if f.Restricted {
		parts = append(parts, t.restricted)
	}
	if f.Inherited {
		parts = append(parts, t.otherUnit)
	}
	parts = append(parts, t.accesses+": "+f.accessText(t))
	s := strings.Join(parts, ", ")
	if f.Decides {
		s += " <- " + t.decides
	}
	return s
}

func (f FilingFacts) accessText(t labels) string {
	if f.Accesses == nil {
		return t.unknown
	}
	if len(f.Accesses) == 0 {
		return t.none
	}
	var parts []string
	for _, a := range f.Accesses {
		s := string(a.Provider) + " " + t.lang.term("access ", a.Status.String())
		if a.At != "" {
			s += " " + a.At
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ")
}
