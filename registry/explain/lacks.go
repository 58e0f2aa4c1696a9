package explain

import "github.com/icpgate/icpgate/registry"

// lacks are the words for a verdict that is undecided though a registry was loaded
// once. The others are those of the reason.
var lacks = map[registry.Lack]entry{
	registry.LackFreshness: {"operator's policy (max-stale)", [langCount]Text{
		English: {"The filing data is too old",
			"The filing data is older than the operator allows, so it does not tell whether {host} is filed; this does not mean that it is not.",
			"Try again later; nothing has to be filed because of this. Tell {provider} if it lasts.",
			"The registry is older than max-stale: bring a newer one, or find out why the registry service is not followed any more, then ask again."},
		Chinese: {"备案数据已过期",
			"备案数据的时间已超出运营者允许的期限，无法据此确认 {host} 是否已备案；这并不表示其未备案。",
			"请稍后再试，无需为此办理任何手续；如长时间未恢复，请告知接入商 {provider}。",
			"备案数据超出 max-stale 的期限：请更新数据，或检查备案数据服务为何不再更新，然后重新查询。"},
	}},
	registry.LackAnswer: {"operator's policy (fail)", [langCount]Text{
		English: {"The filing data did not answer",
			"The registry service did not answer in time, so it cannot be told whether {host} is filed; this does not mean that it is not.",
			"Try again in a few minutes; nothing has to be filed because of this. Tell {provider} if it lasts.",
			"The registry service did not answer within thin-timeout: see whether it is reachable, then ask again."},
		Chinese: {"备案数据服务未应答",
			"备案数据服务未及时应答，无法确认 {host} 是否已备案；这并不表示其未备案。",
			"请稍后再试，无需为此办理任何手续；如长时间未恢复，请告知接入商 {provider}。",
			"备案数据服务未在 thin-timeout 内应答：请检查其是否可达，然后重新查询。"},
	}},
}

// LackText is ReasonText for an undecided verdict, whose cause is known.
func LackText(l Lang, lack registry.Lack) (Text, string) {
	e, ok := lacks[lack]
	if !ok {
		return ReasonText(l, registry.Undecided)
	}
	return e.text[l%langCount], e.ref
}

// staleKnob is the value of max-stale that makes p of a registry too old, and what
// it means.
func staleKnob(l Lang, p registry.FailPolicy) (value, text string) {
	value = "allow"
	texts := [langCount]string{English: "While the registry is too old, everything passes.", Chinese: "备案数据过期期间全部放行。"}
	if p == registry.FailClosed {
		value = "block"
		texts = [langCount]string{English: "While the registry is too old, mainland addresses are blocked.", Chinese: "备案数据过期期间，指向中国内地地址的一律阻断。"}
	}
	return value, texts[l%langCount]
}
