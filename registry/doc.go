// Package registry is the domain of icpgate: the nouns of China's ICP filing
// regime, its rules, and the decision whether a name may be served.
//
// # The regime on one page
//
// A website whose domain points at a server in the Chinese mainland needs a
// filing, made by an entity for a site through the access provider that serves
// it. The provider must block what has none. A filing on a registrable domain
// covers every name below it; below a government suffix every unit files for
// itself. One site may be accessed with several providers; on servers a
// provider demands an access of its own, on edge products (CDN, storage, WAF)
// a filing with whomever is enough. Servers outside the mainland, Hong Kong,
// Macao and Taiwan included, need no filing.
//
// # Use
//
//	host, err := registry.ParseHost("www.example.com")
//	…
//	v := registry.Decide(registry.Query{
//		Host:            host,
//		Channel:         registry.ChannelHTTP,
//		Place:           registry.Mainland,
//		Provider:        "aliyun",
//		AddressProvider: "aliyun",
//		Product:         registry.ECS,
//	}, index.Cover(host.Name))
//	if v.Block { … v.Reason, v.Page() … }
//
// The package does no I/O, reads no clock, starts no goroutine and logs
// nothing. What the registry knows of a name comes in as a Coverage, the time
// as Query.Now.
//
// # Glossary
//
//	filing              ICP备案              the record that an entity has filed a site under a domain
//	number              备案号               entity number (主体备案号), site number (网站备案号); a licence number counts as one
//	entity              主体                 the person or organisation that filed
//	site                网站                 one filed website, app, mini program or quick app
//	provider            接入商               serves domains from the mainland and must block what may not be served
//	access              接入                 the association of a site with a provider
//	server              服务器               a provider's resource that answers for domains
//	service number      备案服务码            ties one filing to one server
//	product             产品                 ecs, slb, oss, cdn, waf …
//	product profile     -                   what a provider demands of a product: access or filing
//	registrable domain  顶级域名             the label under an ICANN public suffix
//	coverage            覆盖                 which filing covers a name, through which filed name
//	unit                政府单位              under .gov.cn and .政务 every unit files for itself
//	mainland            中国内地（大陆）       without Hong Kong, Macao and Taiwan
//	verdict             判定                 pass or block, with exactly one reason
//	effect              -                   what an edge does with a verdict: pass, block, strip
//	advisory            提示                 what staff should know although nothing is blocked
//	shell site          空壳网站              a filing with no active access anywhere
//	PSB filing          公安联网备案           the separate public-security filing
//
// The rule book is docs/rules.md: it says what the references in comments and in
// explanations are, A, B§x, TC, HW, Rn and Pn.
package registry
