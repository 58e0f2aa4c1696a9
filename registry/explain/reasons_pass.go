package explain

import "github.com/icpgate/icpgate/registry"

// reasons are the words of the rule book for every reason: those that pass here,
// those that block in reasons_block.go.
var reasons = merge(passReasons, blockReasons)

func merge(maps ...map[registry.Reason]entry) map[registry.Reason]entry {
	all := map[registry.Reason]entry{}
	for _, m := range maps {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

var passReasons = map[registry.Reason]entry{
	registry.Undecided: {"operator's policy (fail)", [langCount]Text{
		English: {"The filing data is not available",
			"The filing data is not available at present, so it cannot be told whether {host} is filed; this does not mean that it is not.",
			"Try again in a few minutes; nothing has to be filed because of this. Tell {provider} if it lasts.",
			"No registry is loaded: the option registry and its messages at start tell why. Load one, then ask again."},
		Chinese: {"备案数据暂不可用",
			"备案数据暂不可用，无法确认 {host} 是否已备案；这并不表示其未备案。",
			"请稍后再试，无需为此办理任何手续；如长时间未恢复，请告知接入商 {provider}。",
			"尚未加载备案数据：请检查 registry 选项及启动时的提示，加载后重新查询。"},
	}},
	registry.Accessed: {"B§2.12; B§2.2 (R13, R14)", [langCount]Text{
		English: {"Filed, and accessed here",
			"The filing on {filed} covers {host}, and {provider} holds an active access for it, as this product demands.",
			"", ""},
		Chinese: {"已备案且已在本接入商接入",
			"{filed} 的备案覆盖 {host}，且接入商 {provider} 持有其有效接入，符合该产品的要求。",
			"", ""},
	}},
	registry.AccessPending: {"TC 网站访问类; rule book 3 (P5)", [langCount]Text{
		English: {"Filed, the access order here is under review",
			"The filing on {filed} covers {host}; the access order with {provider} has passed the provider's first review, and the policy pending-access lets it be served until the authority decides, at most 45 days.",
			"Finish the access order: the grace ends 45 days after the first review.",
			"Follow the order; the name is blocked once the grace has ended."},
		Chinese: {"已备案，本接入商的接入订单审核中",
			"{filed} 的备案覆盖 {host}；在接入商 {provider} 的接入订单已通过初审，按 pending-access 策略在管局审核期间放行，最长 45 天。",
			"请尽快完成接入备案：初审通过 45 天后将不再放行。",
			"请跟进该订单；宽限期结束后该域名将被阻断。"},
	}},
	registry.Filed: {"A; B§2.5–2.9 (R37–R45)", [langCount]Text{
		English: {"Filed, which is enough here",
			"The filing on {filed} covers {host}, and at this address a filing with whichever provider is enough.",
			"", ""},
		Chinese: {"已备案，此处无需接入",
			"{filed} 的备案覆盖 {host}，该地址只要求在工信部存在备案号，不要求接入本接入商。",
			"", ""},
	}},
	registry.OutsideMainland: {"A; B§2.12 (R1, R12)", [langCount]Text{
		English: {"The server is outside the mainland",
			"The address is outside the mainland (Hong Kong, Macao and Taiwan count as outside), where no ICP filing is needed.",
			"", ""},
		Chinese: {"服务器位于非中国内地",
			"该地址位于非中国内地（含中国香港、中国澳门、中国台湾），无需工信部 ICP 备案。",
			"", ""},
	}},
	registry.OverseasAccelerated: {"B§2.6 (R40)", [langCount]Text{
		English: {"Overseas acceleration",
			"{host} is accelerated outside the mainland only, and the address is outside it: no ICP filing is needed.",
			"", ""},
		Chinese: {"中国港澳台及海外加速",
			"{host} 仅使用非中国内地加速，且该地址位于非中国内地，无需工信部 ICP 备案。",
			"", ""},
	}},
	registry.LocationUnknown: {"rule book 3 (R3)", [langCount]Text{
		English: {"Where the address is, is not known",
			"No source knows where the address is, and a block needs proof that it is in the mainland.",
			"",
			"If the address is yours, add it to the networks file or to the list of mainland prefixes."},
		Chinese: {"地址归属地未知",
			"没有数据源知道该地址的归属地；只有能证明其位于中国内地时才会阻断。",
			"",
			"如该地址属于您，请将其加入 networks 文件或内地地址段列表。"},
	}},
	registry.NotPublic: {"B§1 (R3)", [langCount]Text{
		English: {"Not a public address",
			"The address is private, loopback, link-local or otherwise not reachable from the public, so no public site is served there.",
			"",
			"If this is the address a gate listens on behind a load balancer, tell it which public address it serves."},
		Chinese: {"非公网地址",
			"该地址为私有、环回、链路本地等公网不可达的地址，不构成对外提供网站服务。",
			"",
			"如网关位于负载均衡之后而监听此地址，请配置其所代表的公网地址。"},
	}},
	registry.NoAddress: {"B§2.12 (R10)", [langCount]Text{
		English: {"Nothing points at a server",
			"The answer holds no address, so {host} points at no server; a name needs a filing only once it resolves to a mainland server.",
			"", ""},
		Chinese: {"未解析到任何服务器",
			"应答中没有地址，{host} 未指向任何服务器；域名解析指向中国内地服务器后才需要备案。",
			"", ""},
	}},
	registry.IPLiteralPass: {"B§2.1; rule book 3 (R22)", [langCount]Text{
		English: {"An address instead of a name",
			"The request names an address, not a domain; the policy ip-literal lets it pass.",
			"", ""},
		Chinese: {"以 IP 地址访问",
			"请求使用的是 IP 地址而非域名；按 ip-literal 策略放行。",
			"", ""},
	}},
	registry.NoHostPass: {"B§2.1; rule book 3 (R22)", [langCount]Text{
		English: {"No name was sent",
			"The request carries no Host and the handshake no SNI, so there is no name to judge; the policy no-host lets it pass.",
			"", ""},
		Chinese: {"未携带域名",
			"请求没有 Host、握手没有 SNI，没有可供判定的域名；按 no-host 策略放行。",
			"", ""},
	}},
	registry.Exempt: {"operator's exemption; HW 备案成功后咨询", [langCount]Text{
		English: {"Exempt",
			"An operator's exemption for {host} is in force; it comes before the rules.",
			"",
			"Check that the exemption still has its cause; give it an end where it has none."},
		Chinese: {"已豁免",
			"运营者对 {host} 设置的豁免仍然有效，优先于各项规则。",
			"",
			"请确认豁免理由仍然成立；没有截止时间的应补上。"},
	}},
	registry.NotJudged: {"rule book 1", [langCount]Text{
		English: {"Not judged",
			"The root, single labels and names in reverse or local zones are no public sites and are never judged.",
			"", ""},
		Chinese: {"不作判定",
			"根域、单标签名称以及反向解析和本地区域中的名称不是公开网站，不作判定。",
			"", ""},
	}},
}
