package explain

import "github.com/icpgate/icpgate/registry"

// pages are the words for the notice that a blocked client is shown.
var pages = map[registry.Page]entry{
	registry.PageNone: {"rule book 1", [langCount]Text{
		English: {Title: "none", Rule: "The client is shown no notice."},
		Chinese: {Title: "无", Rule: "不向客户端显示提示页。"},
	}},
	registry.PageUnfiled: {"B§1 (R3)", [langCount]Text{
		English: {Title: "complete the filing first", Rule: "The client is told that the site has no filing and that it must be filed before it opens."},
		Chinese: {Title: "请先完成备案", Rule: "提示客户端该网站未备案，须先完成备案后方可访问。"},
	}},
	registry.PageNotAccessed: {"B§1 (R4)", [langCount]Text{
		English: {Title: "access the filing here", Rule: "The client is told that the site is filed but not accessed with this provider, with the way to the access procedure."},
		Chinese: {Title: "请将备案接入", Rule: "提示客户端该网站已备案但未接入本接入商，并给出接入备案入口。"},
	}},
	registry.PageOther: {"rule book 1", [langCount]Text{
		English: {Title: "may not be served", Rule: "The client is told that the site may not be served, with the reason, but without a way to a filing."},
		Chinese: {Title: "不予提供访问", Rule: "提示客户端该网站不予提供访问及其原因，不提供备案入口。"},
	}},
	registry.PageUndecided: {"operator's policy (fail)", [langCount]Text{
		English: {Title: "cannot be judged now", Rule: "The client is told that the filing cannot be looked up at present and to try again later."},
		Chinese: {Title: "暂时无法判定", Rule: "提示客户端目前无法查询备案信息，请稍后再试。"},
	}},
}

// effects are the words for what an edge does with a verdict.
var effects = map[registry.Effect]entry{
	registry.EffectPass: {"rule book 1", [langCount]Text{
		English: {Title: "pass", Rule: "The edge lets it through untouched."},
		Chinese: {Title: "放行", Rule: "边缘节点原样放行。"},
	}},
	registry.EffectBlock: {"rule book 1", [langCount]Text{
		English: {Title: "block", Rule: "The edge withholds the answer, or refuses the connection or request."},
		Chinese: {Title: "阻断", Rule: "边缘节点扣留应答，或拒绝连接或请求。"},
	}},
	registry.EffectStrip: {"rule book 3", [langCount]Text{
		English: {Title: "strip", Rule: "The edge withholds the addresses that are blocked and leaves the others."},
		Chinese: {Title: "剔除", Rule: "边缘节点仅扣留被阻断的地址，保留其余地址。"},
	}},
}

// knobs are the words for every value of every policy knob, by "KNOB VALUE".
var knobs = map[string]entry{
	"gov strict": knob("B§2.2; HW 备案域名咨询 (R18)",
		"Below government suffixes every unit files for itself.", "政府后缀下各单位须分别备案。"),
	"gov inherit": knob("B§2.2 (R18)",
		"Below government suffixes a filing covers all names below it, as everywhere else.", "政府后缀下备案同样覆盖其下所有子域名。"),
	"ip-literal allow": knob("B§2.1 (R22)",
		"Requests that name an address pass, with an advisory.", "以 IP 地址访问的请求放行并给出提示。"),
	"ip-literal filed-only": knob("B§2.1 (R22)",
		"Requests that name an address pass only if the address is filed.", "以 IP 地址访问的请求仅在该地址已备案时放行。"),
	"ip-literal block": knob("operator's policy",
		"Requests that name an address are refused on mainland addresses.", "在中国内地地址上拒绝以 IP 地址访问的请求。"),
	"no-host allow": knob("rule book 3",
		"Requests and handshakes without a name pass, with an advisory.", "未携带域名的请求和握手放行并给出提示。"),
	"no-host block": knob("operator's policy",
		"Requests and handshakes without a name are refused on mainland addresses.", "在中国内地地址上拒绝未携带域名的请求和握手。"),
	"pending-access block": knob("B§1; rule book 3",
		"A site is blocked until its access order is approved.", "接入备案获批之前予以阻断。"),
	"pending-access allow": knob("TC 网站访问类 (P5)",
		"A site is served from the provider's first review of its access order, for at most 45 days.", "接入订单初审通过后放行，最长 45 天。"),
	"fail open": knob("rule book 3",
		"While no registry is loaded, everything passes.", "未加载备案数据时全部放行。"),
	"fail closed": knob("operator's policy",
		"While no registry is loaded, mainland addresses are blocked.", "未加载备案数据时，指向中国内地地址的一律阻断。"),
	"mode enforce": knob("rule book 1",
		"The edge acts on its verdicts.", "边缘节点执行判定结果。"),
	"mode monitor": knob("operator's policy",
		"The edge only counts what it would block and lets it pass.", "边缘节点只统计应阻断的访问，并予以放行。"),
	"mixed strip": knob("rule book 3",
		"Of several addresses only the blocked ones are withheld.", "多个地址中仅扣留被阻断的地址。"),
	"mixed block": knob("operator's policy",
		"If one of several addresses is blocked, all are withheld.", "多个地址中有一个被阻断则全部扣留。"),
}

func knob(ref, en, zh string) entry {
	return entry{ref, [langCount]Text{English: {Rule: en}, Chinese: {Rule: zh}}}
}

// knobOf names the policy knob that a verdict turned on; "" where none did.
func knobOf(v registry.Verdict) string {
	switch v.Reason {
	case registry.Undecided:
		return "fail"
	case registry.IPLiteralPass, registry.IPRefused, registry.IPUnfiled:
		return "ip-literal"
	case registry.NoHostPass, registry.NoHostRefused:
		return "no-host"
	case registry.AccessPending:
		return "pending-access"
	case registry.GovUnitUnfiled:
		return "gov"
	case registry.NotAccessed:
		if v.Advisories.Has(registry.PendingReview) {
			return "pending-access"
		}
	}
	return ""
}

// knobValue returns the word of a knob's value in p.
func knobValue(p registry.Policy, knob string) string {
	switch knob {
	case "gov":
		return p.Gov.String()
	case "ip-literal":
		return p.IPLiteral.String()
	case "no-host":
		return p.NoHost.String()
	case "pending-access":
		return p.PendingAccess.String()
	case "fail":
		return p.Fail.String()
	case "mode":
		return p.Mode.String()
	case "mixed":
		return p.Mixed.String()
	}
	return ""
}
