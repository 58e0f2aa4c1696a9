package place

import (
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// regions tells where providers' regions are. A key that ends in "-*" stands for
// all regions with that beginning which are not listed. What is missing is not
// guessed: an unlisted "cn-" or "ap-" region may be on either side.
//
// Sources: the providers' lists of regions (Alibaba's OSS regions and endpoints,
// Tencent's document 628/33133, Huawei's regions and endpoints); for finance,
// government and newer regions, and for Huawei's overseas ones, our reading.
var regions = map[registry.ProviderID]map[string]registry.Place{
	registry.Aliyun: {
		"cn-hangzhou": registry.Mainland, "cn-shanghai": registry.Mainland, "cn-qingdao": registry.Mainland,
		"cn-beijing": registry.Mainland, "cn-zhangjiakou": registry.Mainland, "cn-huhehaote": registry.Mainland,
		"cn-wulanchabu": registry.Mainland, "cn-shenzhen": registry.Mainland, "cn-heyuan": registry.Mainland,
		"cn-guangzhou": registry.Mainland, "cn-chengdu": registry.Mainland, "cn-nanjing": registry.Mainland,
		"cn-fuzhou": registry.Mainland, "cn-hangzhou-finance": registry.Mainland,
		"cn-shanghai-finance-1": registry.Mainland, "cn-shenzhen-finance-1": registry.Mainland,
		"cn-beijing-finance-1": registry.Mainland, "cn-north-2-gov-1": registry.Mainland,
		// The one "cn-" region outside the mainland.
		"cn-hongkong": registry.HongKong,
		"ap-*":        registry.Overseas, "us-*": registry.Overseas, "eu-*": registry.Overseas,
		"me-*": registry.Overseas, "na-*": registry.Overseas,
	},
	// At Tencent "ap-" is the mainland and its neighbours alike.
	registry.Tencent: {
		"ap-guangzhou": registry.Mainland, "ap-shanghai": registry.Mainland, "ap-nanjing": registry.Mainland,
		"ap-beijing": registry.Mainland, "ap-chengdu": registry.Mainland, "ap-chongqing": registry.Mainland,
		"ap-shanghai-fsi": registry.Mainland, "ap-shenzhen-fsi": registry.Mainland, "ap-beijing-fsi": registry.Mainland,
		"ap-hongkong": registry.HongKong, "ap-taipei": registry.Taiwan,
		"ap-singapore": registry.Overseas, "ap-bangkok": registry.Overseas, "ap-jakarta": registry.Overseas,
		"ap-mumbai": registry.Overseas, "ap-seoul": registry.Overseas, "ap-tokyo": registry.Overseas,
		"na-*": registry.Overseas, "eu-*": registry.Overseas, "sa-*": registry.Overseas, "me-*": registry.Overseas,
	},
	registry.Huawei: {
		"cn-north-1": registry.Mainland, "cn-north-2": registry.Mainland, "cn-north-4": registry.Mainland,
		"cn-north-9": registry.Mainland, "cn-east-2": registry.Mainland, "cn-east-3": registry.Mainland,
		"cn-east-4": registry.Mainland, "cn-east-5": registry.Mainland, "cn-south-1": registry.Mainland,
		"cn-south-2": registry.Mainland, "cn-south-4": registry.Mainland, "cn-southwest-2": registry.Mainland,
		// Hong Kong here, Singapore at Alibaba.
		"ap-southeast-1": registry.HongKong,
		"ap-southeast-2": registry.Overseas, "ap-southeast-3": registry.Overseas, "ap-southeast-4": registry.Overseas,
		"ap-southeast-5": registry.Overseas, "af-*": registry.Overseas, "eu-*": registry.Overseas,
		"la-*": registry.Overseas, "me-*": registry.Overseas, "na-*": registry.Overseas,
		"sa-*": registry.Overseas, "tr-*": registry.Overseas,
	},
}

// OfRegion tells where a provider's region is, if its name alone says so.
func OfRegion(provider registry.ProviderID, region string) (registry.Place, bool) {
	table := regions[provider]
	if p, ok := table[region]; ok {
		return p, true
	}
	continent, _, _ := strings.Cut(region, "-")
	p, ok := table[continent+"-*"]
	return p, ok
}
