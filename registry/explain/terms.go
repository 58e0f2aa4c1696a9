package explain

// terms are the Chinese terms of rule book words, for printing; JSON keeps the
// words. A word without a term, a product's mostly, is printed as it is.
var terms = map[string]string{
	"pass": "放行", "block": "阻断", "strip": "剔除",

	"mainland": "中国内地", "hong-kong": "中国香港", "macao": "中国澳门", "taiwan": "中国台湾", "overseas": "海外",
	"private": "非公网", "none": "无地址", "unknown": "未知",

	"site": "网站", "app": "App", "mini-program": "小程序", "quick-app": "快应用", "ip": "IP",

	"normal": "正常", "change-pending": "变更审核中", "first-filing-pending": "首次备案审核中",
	"add-site-pending": "新增网站审核中", "cancelled": "已注销",

	"access active": "有效", "access first-review-passed": "初审已通过", "access submitted": "已提交", "access cancelled": "已取消接入",

	"global": "全球", "this-provider-mainland": "本接入商内地服务器", "other-provider-mainland": "其他接入商内地服务器",

	"simple-server": "轻量应用服务器", "vhost": "云虚拟主机", "site-builder": "建站", "enterprise-site": "企业官网",
	"storefront": "旺铺", "mail": "企业邮箱",
}

// term returns what stands for a word in print; group tells words apart that
// several enumerations share, and is empty for most.
func (l Lang) term(group, word string) string {
	if l == Chinese {
		if zh, ok := terms[group+word]; ok {
			return zh
		}
	}
	return word
}
