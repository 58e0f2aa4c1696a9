package gate

import (
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
)

// noticeLabels are the words around the facts. The fields are those of .Labels
// in a template.
type noticeLabels struct {
	Host, Reason, Steps, Filing, Access, Contact, RequestID, Time, Colon, More string

	tag      string // of the language, BCP 47
	noHost   string
	headings map[registry.Page]string
	// own are the headings of reasons that their page's does not fit.
	own map[registry.Reason]string
	// visitorSteps stands in place of Steps where it is the visitor who can do
	// something.
	visitorSteps string
}

// heading is the notice in one line.
func (l *noticeLabels) heading(n noticeSubject) string {
	if s, ok := l.own[n.reason]; ok {
		return s
	}
	return l.headings[n.page()]
}

// of are the words around a notice.
func (l *noticeLabels) of(n noticeSubject) *noticeLabels {
	switch n.reason {
	case registry.Undecided, registry.IPRefused, registry.NoHostRefused:
		own := *l
		own.Steps = l.visitorSteps
		return &own
	}
	return l
}

// noticeLabelsOf are the words of a language.
func noticeLabelsOf(l explain.Lang) *noticeLabels {
	if l == explain.Chinese {
		return &noticeChinese
	}
	return &noticeEnglish
}

var noticeEnglish = noticeLabels{
	Host: "Website", Reason: "Reason", Steps: "What the site's owner can do", Filing: "Go to the filing system",
	Access: "Go to the access procedure", Contact: "Contact", RequestID: "Request", Time: "Time", Colon: ": ", More: "More about this",
	tag: "en", noHost: "(none)",
	headings: map[registry.Page]string{
		registry.PageUnfiled:     "This website cannot be shown: it has no ICP filing",
		registry.PageNotAccessed: "This website cannot be shown: its ICP filing is not accessed here",
		registry.PageOther:       "This website may not be served",
		registry.PageUndecided:   "The ICP filing cannot be checked at present, please try again later",
	},
	own: map[registry.Reason]string{
		registry.IPRefused:     "This website cannot be opened by an IP address",
		registry.NoHostRefused: "The request does not say which website it is for",
	},
	visitorSteps: "What you can do",
}

var noticeChinese = noticeLabels{
	Host: "网站", Reason: "原因", Steps: "网站主办者可以这样处理", Filing: "前往备案系统",
	Access: "前往接入备案", Contact: "联系方式", RequestID: "请求编号", Time: "时间", Colon: "：", More: "查看说明",
	tag: "zh-CN", noHost: "（无）",
	headings: map[registry.Page]string{
		registry.PageUnfiled:     "该网站未完成备案，暂时无法访问",
		registry.PageNotAccessed: "该网站的备案未在此接入，暂时无法访问",
		registry.PageOther:       "该网站不予提供访问",
		registry.PageUndecided:   "暂时无法核验备案信息，请稍后再试",
	},
	own: map[registry.Reason]string{
		registry.IPRefused:     "不能通过 IP 地址访问该网站",
		registry.NoHostRefused: "请求未指明要访问的网站",
	},
	visitorSteps: "您可以这样处理",
}
