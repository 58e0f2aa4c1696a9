package gate

import (
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
)

// noticeLabels are the words around the facts. The fields are those of .Labels
// in a template.
type noticeLabels struct {
	Host, Reason, Steps, Filing, Access, Contact, RequestID, Time, Colon string

	tag      string // of the language, BCP 47
	noHost   string
	headings map[registry.Page]string
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
	Access: "Go to the access procedure", Contact: "Contact", RequestID: "Request", Time: "Time", Colon: ": ",
	tag: "en", noHost: "(none)",
	headings: map[registry.Page]string{
		registry.PageUnfiled:     "This website cannot be shown: it has no ICP filing",
		registry.PageNotAccessed: "This website cannot be shown: its ICP filing is not accessed here",
		registry.PageOther:       "This website may not be served",
		registry.PageUndecided:   "The ICP filing cannot be checked at present, please try again later",
	},
}

var noticeChinese = noticeLabels{
	Host: "网站", Reason: "原因", Steps: "网站主办者可以这样处理", Filing: "前往备案系统",
	Access: "前往接入备案", Contact: "联系方式", RequestID: "请求编号", Time: "时间", Colon: "：",
	tag: "zh-CN", noHost: "（无）",
	headings: map[registry.Page]string{
		registry.PageUnfiled:     "该网站未完成备案，暂时无法访问",
		registry.PageNotAccessed: "该网站的备案未在此接入，暂时无法访问",
		registry.PageOther:       "该网站不予提供访问",
		registry.PageUndecided:   "暂时无法核验备案信息，请稍后再试",
	},
}
